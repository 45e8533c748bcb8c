"""Names that look alike: a skeleton of what is seen, equal for two names that people take for one (UTS 39, section 4).

Pure. Nobody is refused for a name: somebody may really be called so. A stranger whose name looks like that of a friend
is marked, where people decide about strangers.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from chatserver.core.names import FOLD_CHARS, fold
from chatserver.core.visible import without_invisible

REMEMBERED = 20_000
"""Names whose skeletons are kept: each is asked for with every search of every friend. About 6 MB."""

_CONFUSABLES = """
2 01A7 03E8 14BF A644 A6EF A75A
3 01B7 021C 0417 04E0 2CCC A76A A7AB 118CA 16F3B 1D206
4 13CE 118AF
5 01BC 118BB
6 0431 13EE 2CD2 118D5
7 104D2 118C6 1D212
8 0222 0223 09EA 0A6A 0B03 1031A 1E8CB
9 09ED 0A67 0B68 0D6D 2CCA A76E 118AC 118CC 118D6
A 0391 0410 13AA 15C5 A4EE 102A0 16F40
a 0251 03B1 0430 237A
AA A732
aa A733
AE 00C6 04D4
ae 00E6 04D5
AO A734
ao A735
AR 1F707
AU A736
au A737
AV A738 A73A
av A739 A73B
AY A73C
ay A73D
B 0392 0412 13F4 15F7 A4D0 A7B4 10282 102A1 10301
b 0184 042C 13CF 1472 15AF
bl 042B
C 03F9 0421 13DF 2CA4 A4DA 102A2 10302 10415 1051C 118E9 118F2 1F74C
c 03F2 0441 1D04 2CA5 ABAF 1043D
D 13A0 15DE 15EA A4D3
d 0501 13E7 146F A4D2
dz 02A3
E 0395 0415 13AC 22FF 2D39 A4F0 10286 118A6 118AE
e 0435 04BD 212E AB32
F 03DC 15B4 A4DD A798 10287 102A5 10525 118A2 118C2 1D213
f 017F 0584 1E9D A799 AB35
G 050C 13C0 13F3 A4D6
g 018D 0261 0581 1D83
H 0397 041D 13BB 157C 1D78 2C8E A4E7 102CF
h 04BB 0570 13C2
i 0131 0269 026A 02DB 037A 03B9 0456 04CF 13A5 2373 A647 AB75 118C3
J 037F 0408 13AB 148D A4D9 A7B2
j 03F3 0458
K 039A 041A 13E6 16D5 2C94 A4D7 10518
L 13DE 14AA 2CD0 A4E1 1041B 10526 118A3 118B2 16F16 1D22A
l 0031 0049 007C 0196 01C0 0399 0406 04C0 05C0 05D5 05DF 0627 0661 06F1 07CA 16C1 2223 23FD 2C92 2D4F A4F2
l FFE8 1028A 10309 10320 16F28 1E8C7
ll 01C1 05F0 2016 2225
lO 042E 23E8
ls 02AA
lt 20B6
lz 02AB
M 039C 03FA 041C 13B7 15F0 16D6 2C98 A4DF 102B0 10311
MB 1F76B
N 039D 2C9A A4E0 10513
n 0578 057C
O 0030 039F 041E 0555 07C0 09E6 0B20 0B66 12D0 2C9E 2D54 3007 A4F3 10292 102AB 10404 104C2 10516 114D0 118B5
O 118E0
o 03BF 03C3 043E 0585 05E1 0647 0665 06BE 06C1 06D5 06F5 0966 0A66 0AE6 0BE6 0C02 0C66 0C82 0CE6 0D02 0D20
o 0D66 0D82 0E50 0ED0 101D 1040 10FF 1D0F 1D11 2070 2C9F AB3D 1042C 104EA 118C8 118D7
OE 0152
oe 0153
OO A698 A74E
oo 221E A699 A74F
P 03A1 0420 13E2 146D 2CA2 A4D1 10295
p 03C1 0440 2374 2CA3
Q 2D55
q 051B 0563 0566
QE 1F700
R 01A6 13A1 13D2 1587 A4E3 104B4 16F35 1D216
r 0433 1D26 2C85 AB47 AB48 AB81
rn 006D 11700 118E3
S 0405 054F 13D5 13DA A4E2 10296 10420 16F3A
s 01BD 0455 A731 ABAA 10448 118C1
sss 1F75C
T 03A4 0422 13A2 22A4 27D9 2CA6 A4D4 10297 102B1 10315 118BC 16F0A 1F768
T3 A728
tf A777
ts 02A6
U 054D 1200 144C 222A 22C3 A4F4 104CE 118B8 16F42
u 028B 03C5 057D 1D1C A79F AB4E AB52 104F6 118D8
ue 1D6B
uo AB63
V 0474 0667 06F7 13D9 142F 2D38 A4E6 A6DF 1051D 118A0 16F08 1D20D
v 03BD 0475 05D8 1D20 2228 22C1 ABA9 11706 118C0
VB 1F76C
W 051C 13B3 13D4 A4EA 118E6 118EF
w 026F 0461 051D 0561 1D21 AB83 1170A 1170E 1170F
X 03A7 0425 166D 16B7 2573 2CAC 2D5D A4EB A7B3 10290 102B4 10317 10322 10527 118EC
x 00D7 0445 1541 157D 166E 292B 292C 2A2F
Y 03A5 0423 04AE 13A9 13BD 2CA8 A4EC 102B2 118A4 16F43
y 0263 028F 03B3 0443 04AF 10E7 1D8C 1EFF AB5A 118DC
Z 0396 13C3 A4DC 102F5 118A9 118E5
z 1D22 AB93 118C4
"""
"""A prototype, and the code points that look like it: of Unicode's `confusables.txt` (13.0.0) those that look like ASCII
letters and digits, without those that NFKD already takes for them (full-width, mathematical, ligatures).

LIMIT: a name in another script is told apart from a friend's only by its letters that look Latin, so Greek for
Cyrillic without one Latin look-alike goes unmarked. The whole file is ten times as long, for scripts that hardly
anybody of one circle of friends mixes. © 2020 Unicode, Inc., under https://www.unicode.org/license.txt.
"""

_PROTOTYPES = {
    int(code, 16): prototype
    for prototype, *codes in map(str.split, _CONFUSABLES.strip().splitlines())
    for code in codes
}


def skeleton(name: str) -> str:
    """What is seen of `name`: compatibility forms, invisible characters, case and width of gaps do not count."""
    seen = unicodedata.normalize("NFD", without_invisible(name[:FOLD_CHARS]))
    seen = unicodedata.normalize("NFKD", seen.translate(_PROTOTYPES)).translate(_PROTOTYPES)
    return " ".join(seen.casefold().split())


@lru_cache(maxsize=REMEMBERED)
def skeletons(name: str) -> frozenset[str]:
    """Two names look alike where one of these is the same: I is l to the eye, and i to whoever writes it small."""
    return frozenset((skeleton(name), skeleton(fold(name))))
