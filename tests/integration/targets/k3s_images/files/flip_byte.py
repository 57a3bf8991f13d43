# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Damage the last layer of an image in a folder of blobs: flip_byte.py BLOBS DIGEST"""

from __future__ import annotations

import json
import sys
from pathlib import Path

blobs, digest = Path(sys.argv[1]), sys.argv[2]
manifest = json.loads((blobs / digest.removeprefix("sha256:")).read_text())
layer = blobs / manifest["layers"][-1]["digest"].removeprefix("sha256:")
content = bytearray(layer.read_bytes())
content[40] ^= 0xFF
layer.write_bytes(content)
