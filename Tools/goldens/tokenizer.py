"""Makes Tests/KinoModelsTests/Fixtures/tokenizer.{model,json}.

    python Tools/goldens/tokenizer.py        (needs: pip install sentencepiece transformers protobuf)

The model is a small unigram SentencePiece model with T5's special pieces. Its normalisation is a
short list of rules instead of nmt_nfkc, whose table alone takes 240 kB. The JSON file holds, for
each text, the ids and the decoded text that Python's sentencepiece gives, closed with </s>.

transformers' T5 tokenizer must give the same ids, but for what it does otherwise by design: it reads
the spelling of special pieces and of the space mark, and makes one unknown piece of what
SentencePiece spells out in bytes.
"""

import itertools
import json
import pathlib
import shutil
import tempfile

import sentencepiece
import transformers

FIXTURES = pathlib.Path(__file__).parents[2] / "Tests" / "KinoModelsTests" / "Fixtures"

THINGS = ["ball", "cube", "cone", "glass sphere", "кот", "мяч", "雪"]
COLOURS = ["red", "blue", "shiny green", "красный", "синий"]
ACTS = ["bounces on the grass", "rolls in the snow at night", "катится по траве",
        "spins, fast, at sunset.", "falls & jumps: 12 times"]

# From characters to characters, as code points: no-break, ideographic and tab space, full-width A,
# the ligature fi, a soft hyphen (removed), the letter io.
RULES = [("A0", "20"), ("3000", "20"), ("9", "20"), ("A", "20"), ("FF21", "41"), ("FB01", "66 69"),
         ("AD", ""), ("451", "435")]

TEXTS = [
    "", " ", "a", "a red ball", "  a   red\tball \n", "A Red BALL", "a\u00a0blue\u3000cube",
    "красный кот катится по траве", "чёрный кот", "雪 雪人", "glass sphere, 12 times.",
    "\ufb01n \uff21 so\u00adft", "😀 smile", "naïve café", "a\u0000b", "▁a ▁red", "<unk>x",
    "</s>", "<pad> a <extra_id_0>", "don't & <b>stop</b>", "x" * 40, "1234567890",
    "the camera circles a shiny green cone at sunset while the snow falls",
]


def train(folder):
    rules = folder / "rules.tsv"
    rules.write_text("".join(f"{a}\t{b}\n" for a, b in RULES))
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(
        f"a {colour} {thing} {act}" for thing, colour, act in itertools.product(THINGS, COLOURS, ACTS)
    ))
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "spiece"), model_type="unigram",
        vocab_size=320, character_coverage=1.0, byte_fallback=True, num_threads=1,
        normalization_rule_tsv=str(rules), pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
    )
    return folder / "spiece.model"


def main():
    with tempfile.TemporaryDirectory() as name:
        model = train(pathlib.Path(name))
        reference = sentencepiece.SentencePieceProcessor(model_file=str(model))
        peer = transformers.T5Tokenizer.from_pretrained(name, extra_ids=0)
        cases = []
        for text in TEXTS:
            ids = reference.encode(text) + [reference.eos_id()]
            spells_bytes = any(reference.is_byte(i) for i in ids)
            spells_special = any(mark in text for mark in ("</s>", "<unk>", "<pad>", "\u2581"))
            assert spells_bytes or spells_special or peer(text).input_ids == ids, text
            cases.append({"text": text, "ids": ids, "decoded": reference.decode(ids)})
        pieces = [reference.id_to_piece(i) for i in range(reference.get_piece_size())]
        FIXTURES.mkdir(exist_ok=True)
        shutil.copy(model, FIXTURES / "tokenizer.model")
        golden = {
            "made_with": f"sentencepiece {sentencepiece.__version__}", "pieces": pieces, "cases": cases
        }
        (FIXTURES / "tokenizer.json").write_text(
            json.dumps(golden, ensure_ascii=True, indent=1) + "\n")


main()
