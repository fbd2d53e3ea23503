"""The provider's settings in run.yaml."""

from .provider import NVIDIAConfig, NVIDIAProviderDataValidator

__all__ = ["NVIDIAConfig", "NVIDIAProviderDataValidator"]
