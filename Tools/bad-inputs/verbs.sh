# Rows of the verbs that have sources, of storyboards, streams and signals. `run` reads this file.

# shell TEXT: a row of a shell's command, in which $kino is the program.
shell() {
  row "${1//\$kino/kino}" env kino="$kino" OMP_NUM_THREADS=1 bash -c "set -o pipefail; $1"
}

# story YAML: a row of a storyboard of this text.
story() {
  printf "$1" >story.yaml
  row "kino storyboard <(printf '${1//$'\n'/\\n}')" "$kino" storyboard story.yaml "${fast[@]}" \
    --output story.mp4
}

fast=(--model "$model" --steps 2)
"$kino" world "a red ball" --seconds 1 --size 64x64 --output clip.mp4 --quiet
"$kino" world --seed 3 --frames 1 --size 64x64 --output picture.png --quiet
cp "$root/Tests/KinoMediaTests/Fixtures/sound.mp4" sound.mp4
cp "$root/Tests/KinoMediaTests/Fixtures/huge.png" huge.png
: >nothing-in-it.mp4
mkfifo pipe.mp4
head -c 3000 clip.mp4 >cut.mp4
printf '#EXTM3U\n#EXTINF:10,\nclip.mp4\n' >list.m3u8
printf 'RIFF\x24\x08\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x00\x08\x00\x00' >tone.wav
head -c 2048 /dev/zero >>tone.wav

for file in missing.mp4 nothing-in-it.mp4 folder.mp4 pipe.mp4 notes.txt noise.mp4 list.m3u8 tone.wav \
  huge.png /dev/zero; do
  try extend "$file" --seconds 0.5 "${fast[@]}"
done
try extend cut.mp4 --seconds 0.5 "${fast[@]}" --output x1.mp4
for verb in animate loop reverse edit upscale; do
  try "$verb"
done
try connect clip.mp4
try connect clip.mp4 picture.png words more
try extend clip.mp4
try extend "" --seconds 1
try animate clip.mp4 "${fast[@]}"
try animate picture.png --frames 5 --seconds 1 "${fast[@]}"
try reverse picture.png "${fast[@]}"
try loop picture.png --seconds 0.5 "${fast[@]}" --output x2.mp4
for seconds in 0 nan 61 1e-9; do
  try extend clip.mp4 --seconds "$seconds" "${fast[@]}" --output "x-$seconds.mp4"
done
try connect clip.mp4 missing.mp4 "${fast[@]}"
for strength in 2 nan -1; do
  try edit clip.mp4 "a cube" --strength="$strength" "${fast[@]}"
done
try edit clip.mp4 "" "${fast[@]}"
try edit clip.mp4 "a cube" --from 0.5 --to 0.2 "${fast[@]}"
try edit clip.mp4 "a cube" --from 0.5 --to 9 "${fast[@]}"
try edit clip.mp4 "a cube" --from 1 "${fast[@]}"
try edit clip.mp4 "a cube" --from nan "${fast[@]}"
try edit clip.mp4 "a cube" --from 1e300 "${fast[@]}"
try edit clip.mp4 "a cube" --to 0 "${fast[@]}"
try edit clip.mp4 "a cube" --from 0.01 --to 0.02 "${fast[@]}" --output x3.mp4
try edit clip.mp4 "a cube" --from 0.5 --to 1 "${fast[@]}" --output x4.mp4
for mask in missing.png tone.wav notes.txt; do
  try edit clip.mp4 "a cube" --mask "$mask" "${fast[@]}"
done
cp "$root/Tests/KinoMediaTests/Fixtures/gray16.png" half.png
try edit clip.mp4 "a cube" --mask half.png "${fast[@]}" --output x5.mp4
try edit picture.png "a cube" "${fast[@]}" --output x6.mp4
try upscale clip.mp4 "${fast[@]}"
try upscale clip.mp4 --size 32x32 "${fast[@]}"
try upscale picture.png --size 99999x99999 "${fast[@]}"
try upscale picture.png --size 128x128 "${fast[@]}"
try extend clip.mp4 --seconds 1 --size 15x15 "${fast[@]}"
try extend clip.mp4 --seconds 1 --fps 1000 "${fast[@]}"
try extend clip.mp4 --seconds 1 --fit squash "${fast[@]}"
try extend clip.mp4 --seconds 0.5 "${fast[@]}" --output clip.mp4
try extend clip.mp4 --seconds 0.5 "${fast[@]}" --output x.png
try extend sound.mp4 --seconds 0.5 "${fast[@]}" --output x7.gif
try generate x --loop --frames 9
try generate x --loop --seconds 0
try generate x --count 0
try generate x --count 2 --output -
try generate x --resume --output -
try generate x --json --output -
try generate x --preview p.txt
try generate x --preview clip.mp4
try image x --output a.png --sheet a.png
try plan nonsense
try plan reverse
try plan extend missing.mp4 --seconds 1
try plan upscale picture.png --size 0x0

try storyboard missing.yaml
try storyboard folder.mp4
try storyboard pipe.mp4
try storyboard /dev/zero
story ''
story 'shots: 3\n'
story 'shots: [\n'
story 'size: big\nshots: [{prompt: a, seconds: 1}]\n'
story 'fps: 999\nshots: [{prompt: a, seconds: 1}]\n'
story 'shots:\n- promt: a\n'
story 'shots:\n- seconds: 1\n'
story 'shots:\n- prompt: a\n'
story 'shots:\n- prompt: [a]\n  seconds: 1\n'
story 'shots:\n- prompt: a\n  seconds: nan\n'
story 'shots:\n- prompt: a\n  seconds: 1\n  join: continuous\n'
story 'shots:\n- prompt: a\n  seconds: 1\n- prompt: b\n  start: 0.5\n  seconds: 1\n'
story 'shots:\n- prompt: a\n  seconds: 1\n  picture: missing.png\n'
story 'shots:\n- prompt: a\n  seconds: 1\n  picture: ""\n'
story 'shots:\n- prompt: a\n  seconds: 1\n  picture: picture.png\n  at: 5\n'
story 'shots:\n- prompt: a\n  seconds: 1\n  at: 0\n'
story 'shots:\n- prompt: a\n  prompt: b\n'
story 'a: &a [x, x]\nb: &b [*a, *a]\nshots: *b\n'
{ echo "shots:"; yes -- '- {prompt: a, seconds: 0.1}' | head -1001; } >many.yaml
try storyboard many.yaml
head -c 2000000 /dev/zero | tr '\0' '#' >large.yaml
try storyboard large.yaml

# Models, weights and adapters.
mkdir half-model lfs
cp "$model/model_index.json" half-model/
printf '{"_class_name": "StableDiffusionPipeline"}' >empty/model_index.json
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n' >lfs/model.safetensors
transformer=$model/transformer/diffusion_pytorch_model.safetensors
head -c 20000 "$transformer" >short.safetensors
cp "$transformer" renamed.gguf
printf 'GGUF\3\0\0\0\377\377\377\377\377\377\377\177\0\0\0\0\0\0\0\0' >huge.gguf
printf 'PK\3\4' >broken.pth
printf '\200\2c__builtin__\neval\nX\1\0\0\0aR.' >evil.pth
printf '\10\0\0\0\0\0\0\0{"a": 1}' >odd.safetensors
printf '\2\0\0\0\0\0\0\0{}' >none.safetensors

try models missing
try models notes.txt
try models empty
try models half-model
try models cut-model --verify
try models lfs --verify
try models noise.safetensors
try models huge.gguf
try convert
try convert missing.safetensors a.safetensors
try convert clip.mp4 a.safetensors
try convert noise.safetensors a.safetensors
try convert short.safetensors a.safetensors
try convert none.safetensors a.safetensors
try convert evil.pth a.safetensors
try convert broken.pth a.safetensors
try convert "$transformer" taken.mp4
try convert "$transformer" folder.mp4 --overwrite
try convert "$transformer" a.safetensors --precision q8_0
try convert "$transformer" a.safetensors --precision int3
try convert "$transformer" no/such/a.safetensors
try convert "$model" a.gguf
try convert half-model converted
try convert cut-model converted
for lora in missing.safetensors notes.txt folder.mp4 noise.safetensors cut.safetensors short.safetensors \
  "$transformer" "" clip.mp4:nan; do
  try generate ball --model "$model" --lora "$lora"
done
for file in short.safetensors renamed.gguf huge.gguf broken.pth evil.pth odd.safetensors none.safetensors \
  lfs half-model empty; do
  try inspect "$file"
done
try generate ball --model half-model

small="--model $model --frames 5 --steps 2 --size 32x32"
shell "head -c 100000 /dev/zero | tr '\\0' x | \$kino animate picture.png - $small"
shell "printf 'a\\377b' | \$kino animate picture.png - $small"
shell "\$kino generate - $small <&-"
shell "\$kino generate ball $small --output s1.mp4 >&-"
shell "\$kino generate ball $small --output s2.mp4 --json | true"
shell "\$kino generate ball $small --output s3.mp4 >/dev/full"
shell "\$kino generate ball $small --output - >/dev/full"
shell "\$kino plan generate ball --model $model >/dev/full"

# stopped WORDS SECONDS ARGUMENTS...: a row of a Ctrl-C after so long.
stopped() {
  local text=$1 seconds=$2
  shift 2
  row "kino $1 ... (Ctrl-C while $text)" timeout --preserve-status -s INT "$seconds" "$kino" "$@"
}
stopped sampling 3 extend clip.mp4 --seconds 9 --steps 500 --model "$model" --output i1.mp4
stopped encoding 3 edit clip.mp4 x --size 1280x720 --model "$model" --output i2.mp4
stopped copying 2 reverse clip.mp4 --size 1920x1080 --fps 120 --model "$model" --output i3.mp4
row "kino extend ... (kill -9 while sampling)" timeout --preserve-status -s KILL 4 \
  "$kino" extend clip.mp4 --seconds 9 --seed 1 --steps 60 --model "$model" --output k.mp4
try extend clip.mp4 --seconds 1 --seed 1 "${fast[@]}" --output k.mp4 --resume
mkdir -p .m.mp4.unfinished
echo '{' >.m.mp4.unfinished/recipe.json
try extend clip.mp4 --seconds 1 --seed 1 "${fast[@]}" --output m.mp4 --resume
try extend clip.mp4 --seconds 1 --seed 1 "${fast[@]}" --output m.mp4
