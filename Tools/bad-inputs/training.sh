# Rows of training on own footage: configurations, folders, processes, adapters. `run` reads this file.

# own MORE [SED]: a row of a LoRA's configuration with more lines, or changed by sed.
own() {
  rm -rf run-own
  { printf 'output: ./run-own\nsteps: 2\ndata: {folders: [{path: clips}]}\n'
    printf 'transformer: {start: %s, lora: {rank: 2}}\n' "$model"
    printf '%b' "$1"; } | sed "${2:-}" >own.yaml
  row "kino train own.yaml (${3:-${1:-${2//$model/MODEL}}})" "$kino" train own.yaml
}

# changed SED: the same with a change.
changed() { own "" "$1" "$1"; }

mkdir clips strangers wordless twice narrow
"$kino" world "a red ball" --seconds 1 --size 128x128 --output clips/a.mp4 --quiet
echo "a red ball" >clips/a.txt
cp clips/a.mp4 wordless/
cp clips/a.mp4 strangers/
printf '\377\376\0' >strangers/a.txt
"$kino" world "a red ball" --seconds 1 --size 640x64 --output narrow/a.mp4 --quiet
echo "a red ball" >narrow/a.txt
printf '{"file": "a.mp4", "caption": "a"}\n{"file": "a.mp4", \n' >twice/manifest.jsonl
cp clips/a.mp4 twice/

own 'seed: -1\n'
changed 's/steps: 2/steps: 0/'
own 'precision: fp8\n'
own 'accumulate: 0\n'
own 'accumulate: 1000\n'
own 'device: tpu\n'
own 'optimizer: {learning_rate: 5}\n'
own 'optimizer: {learning_rate: fast}\n'
own 'optimizer: {learning_rate: .nan}\n'
own 'optimizer: {speed: 1}\n'
own 'schedule: {checkpoint_minutes: 0}\n'
own 'buckets: []\n'
own 'buckets: [{width: 128, height: 128}]\n'
own 'buckets: [{width: 100, height: 128, frames: 17}]\n'
own 'buckets: [{width: 128, height: 128, frames: 16}]\n'
own 'buckets: [{width: 128, height: 128, frames: 17, batch: 0}]\n'
own 'buckets: [{width: 99968, height: 99968, frames: 99999997}]\n'
own 'buckets: [{width: 512, height: 64, frames: 17}]\n'
changed 's/rank: 2/rank: 0/'
changed 's/rank: 2/rank: 5000/'
changed 's/rank: 2/rank: 2, alpha: -1/'
changed 's/rank: 2/rank: 2, targets: [to_x]/'
changed 's/rank: 2/rank: 2, layers: 3/'
changed 's/lora: .*}/lora: 7}/'
changed 's/start: [^,]*/start: nowhere/'
changed 's/start: [^,]*/start: noise.safetensors/'
changed 's/start: [^,]*/start: cut-model/'
changed 's/lora: {rank: 2}/layers: 3/'
changed 's/lora: {rank: 2}/frozen_text: maybe/'
changed 's/path: clips/path: nowhere/'
changed 's/path: clips/path: empty/'
changed 's/path: clips/path: notes.txt/'
changed 's/path: clips/path: wordless/'
changed 's/path: clips/path: strangers/'
changed 's/path: clips/path: twice/'
changed 's/path: clips/path: narrow/'
changed 's/path: clips/path: clips, weight: -1/'
changed 's/path: clips/path: clips, weight: 0/'
changed 's/path: clips/path: ""/'
changed 's/, lora: {rank: 2}/, frozen_text: true/; s/path: clips/path: clips, prior: true/'
changed 's#output: .*#output: /proc/run#'
changed 's#output: .*#output: notes.txt#'
own '' '' 'as it is'
rm -rf run-own
row "kino train own.yaml --export a.safetensors" "$kino" train own.yaml --export a.safetensors
"$kino" train own.yaml >/dev/null 2>&1
try train own.yaml --export clips/a.mp4
try train own.yaml --export no/such/a.safetensors
try plan train nothing.yaml
try plan train notes.txt
try train own.yaml --threads 0
try train own.yaml --processes 0
try train own.yaml --processes 99999
try train "$root/Configurations/mini-judge.yaml" --processes 2
# variables WORDS: a row of a process that a launcher has started.
variables() { row "env $* kino train own.yaml" env "$@" "$kino" train own.yaml; }
variables WORLD_SIZE=two
variables WORLD_SIZE=0
variables WORLD_SIZE=2
variables WORLD_SIZE=2 RANK=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29400
variables WORLD_SIZE=2 RANK=x MASTER_ADDR=127.0.0.1 MASTER_PORT=29400
variables WORLD_SIZE=2 RANK=0
variables WORLD_SIZE=2 RANK=0 MASTER_ADDR=127.0.0.1 MASTER_PORT=99999
variables WORLD_SIZE=2 RANK=1 MASTER_ADDR=nowhere.invalid MASTER_PORT=29400

"$kino" train own.yaml --export own.safetensors >/dev/null 2>&1
head -c 3000 own.safetensors >own-cut.safetensors
"$kino" convert own.safetensors own-half.safetensors --precision float16 >/dev/null 2>&1
try generate ball "${fast[@]}" --lora own-cut.safetensors
try generate ball "${fast[@]}" --lora own.safetensors:nan
try generate ball "${fast[@]}" --lora own.safetensors:
try generate ball "${fast[@]}" --lora missing.safetensors
try generate ball "${fast[@]}" --lora clips/a.mp4
try generate ball "${fast[@]}" --lora "$model/vae/diffusion_pytorch_model.safetensors"
try convert "$model" merged --lora noise.safetensors
try convert "$model" "$model" --lora own.safetensors

try prepare
try prepare nowhere --output data
try prepare notes.txt --output data
try prepare empty --output data
try prepare clips --output notes.txt
try prepare clips --output strangers
try prepare clips --output clips/data
try prepare clips --output data --min-seconds 0
try prepare clips --output data --min-seconds 3 --max-seconds 2
try prepare clips --output data --max-seconds nan
try prepare clips --output data --fps 0
try prepare clips --output data --side 1
XDG_CONFIG_HOME=$work/nowhere try prepare wordless --output data --describe
