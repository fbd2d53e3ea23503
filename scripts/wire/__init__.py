"""Raw requests to a server of OpenAI's API, and its normalized answers, as fixtures of tests."""
