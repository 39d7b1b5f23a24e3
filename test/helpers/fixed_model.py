"""A language model for llama.cpp that says one text, made here: tests of a real server need it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

TEMPLATE = (
    '{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}'
    '{% if add_generation_prompt %}<|go|>{% endif %}'
)
_SPECIAL = ('<unk>', '<s>', '</s>', '<|go|>')
_END, _GO = _SPECIAL.index('</s>'), _SPECIAL.index('<|go|>')
#: Kinds of token in GGUF.
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6


def write_fixed_model(path: Path, text: str, endless: bool = False) -> Path:
    """Write a GGUF file of a transformer whose next token depends on the last one alone.

    Attention and feed-forward layers add nothing, so that what enters the output is the last
    token's embedding, one-hot; the output matrix leads from each word of the text to the next.

    :param text: words of which none occurs twice.
    :param endless: begin again at the end.
    """
    import gguf

    words = re.findall(r' ?[^ ]+', text)
    assert len(set(words)) == len(words)
    tokens = [*_SPECIAL, *(f'<0x{byte:02X}>' for byte in range(256))]
    kinds = [_UNKNOWN, _CONTROL, _CONTROL, _CONTROL, *[_BYTE] * 256]
    first = len(tokens)
    tokens += [word.replace(' ', '\u2581') for word in words]
    kinds += [_NORMAL] * len(words)
    # Words are never found in the prompt, which is read byte by byte.
    scores = [0.0] * first + [-1000.0 - index for index in range(len(words))]
    count = len(tokens)
    width = -(-count // 32) * 32
    following = {_GO: first, count - 1: first if endless else _END}
    following.update({index: index + 1 for index in range(first, count - 1)})

    writer = gguf.GGUFWriter(str(path), 'llama')
    writer.add_context_length(8192)
    writer.add_embedding_length(width)
    writer.add_rope_dimension_count(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(count)
    writer.add_tokenizer_model('llama')
    writer.add_token_list([token.encode() for token in tokens])
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(_SPECIAL.index('<s>'))
    writer.add_eos_token_id(_END)
    writer.add_unk_token_id(0)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE)
    output = np.zeros((count, width), np.float32)
    for one, next_one in following.items():
        output[next_one, one] = 5.0
    writer.add_tensor('token_embd.weight', np.eye(count, width, dtype=np.float32))
    writer.add_tensor('output.weight', output)
    for name in ('output_norm', 'blk.0.attn_norm', 'blk.0.ffn_norm'):
        writer.add_tensor(f'{name}.weight', np.ones(width, np.float32))
    for name, shape in {
        'attn_q': (width, width), 'attn_k': (width, width), 'attn_v': (width, width),
        'attn_output': (width, width), 'ffn_gate': (32, width), 'ffn_up': (32, width),
        'ffn_down': (width, 32),
    }.items():  # fmt: skip
        writer.add_tensor(f'blk.0.{name}.weight', np.zeros(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
