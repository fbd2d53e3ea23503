#!/bin/sh
# curl with the server: models, chat, stream, tool, embeddings, a key per request, an error.
#
#     sh examples/curl.sh
#
# LLAMA_STACK_URL is where the server is; http://127.0.0.1:8321, as `make serve` starts it, unless set.
set -eu
server=${LLAMA_STACK_URL:-http://127.0.0.1:8321}

# OpenAI's API is below /v1, in Llama Stack 0.2.x a level deeper.
api=$server/v1/openai/v1
curl -fs "$api/models" >/dev/null || api=$server/v1

# The server's names for models: its provider's id may stand before the NIM's name.
models=$(curl -fsS "$api/models" | grep -o '"id": *"[^"]*"' | cut -d'"' -f4)
model=$(echo "$models" | grep 'llama-3.1-8b-instruct$')
embedder=$(echo "$models" | grep 'nv-embedqa-e5-v5$')
echo "Models:     $(echo "$models" | wc -l)"

# post PATH BODY [more options of curl]
post() {
  path=$1 body=$2
  shift 2
  curl -fsS "$api/$path" -H 'Content-Type: application/json' -d "$body" "$@"
  echo
}

echo "Chat:"
post chat/completions '{
  "model": "'"$model"'",
  "messages": [{"role": "user", "content": "What is NVIDIA NIM?"}],
  "max_tokens": 60
}'

# -N prints each event as it comes.
echo "Stream:"
post chat/completions '{
  "model": "'"$model"'",
  "messages": [{"role": "user", "content": "Please count to 3"}],
  "stream": true
}' -N

echo "Tool call:"
post chat/completions '{
  "model": "'"$model"'",
  "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
  "tools": [{"type": "function", "function": {
    "name": "get_weather",
    "parameters": {
      "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]
    }
  }}]
}'

echo "Embedding:"
post embeddings '{"model": "'"$embedder"'", "input": "Hello"}' | cut -c1-100

# OGX reads the second header, Llama Stack the first.
echo "With a key of its own:"
data='{"nvidia_api_key": "nvapi-of-this-tenant"}'
post chat/completions '{
  "model": "'"$model"'",
  "messages": [{"role": "user", "content": "Please count to 2"}]
}' -H "X-LlamaStack-Provider-Data: $data" -H "X-OGX-Provider-Data: $data"

# Without -f, curl prints the error that the server explains.
echo "An error:"
curl -sS "$api/chat/completions" -H 'Content-Type: application/json' -w ' [%{http_code}]\n' -d '{
  "model": "'"$model"'",
  "messages": [{"role": "user", "content": "Hello"}],
  "max_tokens": 0
}'
