"""Decodes lines of every kind and writes what comes out to stdout: to compare ways of running kernels."""

from __future__ import annotations

import sys

from loader.encoding.line_protocol.decode import Decoder
from loader.encoding.line_protocol.line_ends import find_end
from tests.encode_sample import sample

ODD = (
    rb"""# comment
m,t=a\ b,s=c v=1,w=-2.5e-7,x=12345678901234567890.5,y=-9223372036854775808i,z=18446744073709551615u,b=True,c=F 17
  m,s=c,t=a\ b s="two
lines \"quoted\" \\",v=.5 -17
m v=1i 1
m v=1 2.5
m,t=a,t=b v=1 1
m v=9223372036854775808i 1
m v=1e999 1
"""
    + b'm s="\xff" 1\nm s="open\n'
)


def main() -> None:
    """Decode lines of the encoder, and odd ones, in blocks of any size."""
    text = sample()
    many = b"".join(b"m,n=%d f%d=%d 1\n" % (number, number % 50, number) for number in range(1_100))
    lines = text[text.index(b"\nm,t=") + 1 :] + many + ODD
    decoder = Decoder(1)
    while lines:
        end = find_end(lines[:60_000]) or len(lines)
        points, bad = decoder.decode(lines[:end])
        lines = lines[end:]
        for piece in points:
            columns = {key: column.to_pylist() for key, column in piece.fields.items()}
            numbers = piece.series.tolist(), piece.times.tolist(), piece.lines.tolist()
            sys.stdout.write(f"{piece.measurement} {numbers} {columns}\n")
        sys.stdout.write(f"{bad}\n")
    sys.stdout.write(f"{list(decoder.series)} {decoder.fields}\n")


if __name__ == "__main__":
    main()
