"""Groups of request fields that several generations share."""

from __future__ import annotations

from ..dialect import names

_COMMON = names(
    "model frequency_penalty presence_penalty logit_bias logprobs max_tokens n seed stop stream "
    "stream_options temperature top_p user"
)
CHAT = _COMMON | names(
    "messages top_logprobs tools tool_choice parallel_tool_calls response_format"
)
"""OpenAI's fields of a chat that every NIM knows."""

COMPLETION = _COMMON | {"prompt", "echo", "suffix"}
"""OpenAI's fields of a completion."""

GUIDED = names(
    "guided_json guided_regex guided_choice guided_grammar guided_whitespace_pattern "
    "guided_decoding_backend"
)
"""Constraints as vLLM before 0.12 named them."""

VLLM_SAMPLING = names(
    "top_k min_p repetition_penalty length_penalty stop_token_ids include_stop_str_in_output "
    "ignore_eos min_tokens skip_special_tokens spaces_between_special_tokens "
    "truncate_prompt_tokens prompt_logprobs allowed_token_ids bad_words use_beam_search "
    "add_special_tokens response_format structured_outputs priority request_id "
    "return_tokens_as_token_ids return_token_ids cache_salt kv_transfer_params vllm_xargs "
    "thinking_token_budget"
)
VLLM_CHAT = names(
    "max_completion_tokens reasoning_effort include_reasoning echo add_generation_prompt "
    "continue_final_message documents chat_template chat_template_kwargs media_io_kwargs "
    "mm_processor_kwargs"
)
SGLANG_SAMPLING = names(
    "top_k min_p min_tokens regex ebnf repetition_penalty stop_token_ids stop_regex no_stop_trim "
    "ignore_eos skip_special_tokens lora_path priority rid cache_salt custom_params "
    "response_format"
)
SGLANG_CHAT = names(
    "max_completion_tokens continue_final_message separate_reasoning stream_reasoning "
    "chat_template_kwargs reasoning_effort"
)
DYNAMO_SAMPLING = GUIDED | names(
    "ignore_eos min_tokens top_k min_p repetition_penalty include_stop_str_in_output "
    "skip_special_tokens cache_salt stop_token_ids detokenize allowed_token_ids "
    "bad_words_token_ids return_tokens_as_token_ids nvext"
)
DYNAMO_CHAT = names(
    "max_completion_tokens chat_template_args chat_template_kwargs thinking reasoning_effort "
    "media_io_kwargs mm_processor_kwargs thinking_token_budget metadata store service_tier "
    "prompt_cache_key prompt_logprobs add_generation_prompt modalities prediction audio "
    "web_search_options"
)
EMBEDDING = names("model input encoding_format dimensions user")
"""OpenAI's fields of an embedding request."""

RETRIEVER_EMBEDDING = EMBEDDING | names("input_type truncate embedding_type modality")
HOSTED_EMBEDDING = EMBEDDING | names("input_type truncate")
DYNAMO_EMBEDDING = EMBEDDING | {"truncate_prompt_tokens"}
VLLM_EMBEDDING = EMBEDDING | names(
    "truncate_prompt_tokens truncation_side padding request_id priority cache_salt "
    "mm_processor_kwargs add_special_tokens embed_dtype endianness use_activation"
)
DYNAMO_NVEXT = names(
    "greed_sampling use_raw_prompt annotations backend_instance_id token_data "
    "max_thinking_tokens cache_salt extra_fields metadata_upload prefill_worker_id "
    "decode_worker_id dp_rank prefill_dp_rank agent_hints request_timestamp_ms "
    "routing_constraints router"
)
"""Dynamo's ``nvext`` shares its name with that of NIM 1.x, and next to nothing else."""
