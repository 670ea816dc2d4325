"""What situations are filled with: ``~mail~`` and the like, drawn by a seed. All made up; nothing opens anything."""

from __future__ import annotations

import base64
import random
import re
import string
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from metaqore.security.detect_numbers import NATIONAL_NUMBERS, it_codice_fiscale
from tests.challenge import minted, people
from tests.challenge.minted import draw

_ALNUM = string.ascii_letters + string.digits
_LOWER = string.ascii_lowercase + string.digits
_UPPER = string.ascii_uppercase + string.digits
_HEX = "0123456789abcdef"
_URL = _ALNUM + "-_"
_SETS = {"hex": _HEX, "alnum": _ALNUM, "url": _URL, "upper": _UPPER, "n": "123456789"}
_NAMES = (
    "Rebecca Hollis", "Matteo Bianchi", "Sabine Krüger", "Loïc Perrin", "Zofia Kowalczyk", "Álvaro Núñez",
    "Femke Bakker",
    "Emre Yıldız", "Chidi Okonkwo", "Mei Tanaka", "Joana Almeida", "Håkan Nyström", "Olga Petrova", "Ravi Subramaniam",
    "Siobhan O'Connor", "Jürgen Weiß", "Mireille Dubois", "Kwame Boateng", "Nora Haugen", "Petr Dvořák",
    "Beatriz Carvalho", "Wojciech Mazur", "Gianluca Conti", "Aisha Rahman", "Tobias Lehmann", "Harriet Blackwood",
)  # fmt: skip
_COMPANIES = ("lumora", "fenwick", "tarnhill", "quillon", "brightmoor", "oxbridge", "sablecore", "northpine")
_DOMAINS = (
    "fastmail.fm",
    "gmx.de",
    "icloud.com",
    "free.fr",
    "interia.pl",
    "tiscali.it",
    "sapo.pt",
    "proton.me",
    "ziggo.nl",
)
_ADDRESSES = (
    "48 Elm Grove, Reading RG2 7DJ", "1127 Willow Creek Dr, Austin, TX 78704", "Kastanienallee 17, 10435 Berlin",
    "22 rue des Lilas, 69003 Lyon", "ul. Lipowa 12/4, 30-702 Kraków", "Via Dante 31, 20121 Milano",
    "Calle de Alcalá 55, 28014 Madrid", "Prinsengracht 263, 1016 GV Amsterdam", "Rua do Carmo 15, 1200-093 Lisboa",
    "Birkenweg 3a, 8004 Zürich", "Storgatan 8, 114 51 Stockholm", "Flat 6, 90 King Street, Leeds LS1 2HL",
    "5 avenue Foch, 75116 Paris", "Schillerstr. 40, 04109 Leipzig", "301 Cedar Blvd Apt 9, Portland, OR 97205",
)  # fmt: skip
#: How the documentation of issuers says that their tokens look, of issuers that the other sets do not have.
_VENDORS: tuple[Callable[[random.Random], str], ...] = (
    lambda r: f"sk-ant-api03-{draw(r, _URL, 93)}AA",
    lambda r: f"{draw(r, _ALNUM, 3)}8Q~{draw(r, _ALNUM, 34)}",  # Microsoft Entra, client secret
    lambda r: f"sha256~{draw(r, _URL, 43)}",  # OpenShift
    lambda r: f"squ_{draw(r, _HEX, 40)}",  # SonarQube
    lambda r: f"CCIPAT_{draw(r, _ALNUM, 22)}_{draw(r, _HEX, 40)}",
    lambda r: f"pcsk_{draw(r, _ALNUM, 6)}_{draw(r, _ALNUM, 63)}",  # Pinecone
    lambda r: f"pat{draw(r, _ALNUM, 14)}.{draw(r, _HEX, 64)}",  # Airtable
    lambda r: f"sb_secret_{draw(r, _URL, 31)}",  # Supabase
    lambda r: f"re_{draw(r, _ALNUM, 8)}_{draw(r, _ALNUM, 24)}",  # Resend
    lambda r: f"sk.eyJ1IjoiYWNtZSIsImEiOiJ{draw(r, _ALNUM, 40)}.{draw(r, _URL, 22)}",  # Mapbox
    lambda r: f"access_token$production${draw(r, _LOWER, 16)}${draw(r, _HEX, 32)}",  # PayPal
    lambda r: f"access-production-{uuid.UUID(int=r.getrandbits(128))}",  # Plaid
    lambda r: f"FLWSECK-{draw(r, _HEX, 32)}-X",  # Flutterwave
    lambda r: (
        f"A3-{draw(r, _UPPER, 6)}-{draw(r, _UPPER, 6)}-" + "-".join(draw(r, _UPPER, 5) for _ in range(4))
    ),  # 1Password
    lambda r: f"oy2{draw(r, _LOWER, 43)}",  # NuGet
    lambda r: f"LTAI5t{draw(r, _ALNUM, 18)}",  # Alibaba
    lambda r: f"AKID{draw(r, _ALNUM, 32)}",  # Tencent
    lambda r: f"cloudinary://{r.randint(10**14, 10**15)}:{draw(r, _URL, 27)}@lumora",
    lambda r: f"cs_{draw(r, _HEX, 40)}",  # WooCommerce
    lambda r: f"EZAK{draw(r, _ALNUM, 54)}",  # EasyPost
    lambda r: f"pnu_{draw(r, _ALNUM, 36)}",  # Prefect
    lambda r: f"tvly-{draw(r, _ALNUM, 32)}",  # Tavily
    lambda r: f"napi_{draw(r, _LOWER, 64)}",  # Neon
    lambda r: f"FlyV1 fm2_{draw(r, _ALNUM + '+/', 120)}",
    lambda r: f"ATTA{draw(r, _HEX, 64)}{draw(r, '0123456789ABCDEF', 8)}",  # Trello
    lambda r: f"glrtr-{draw(r, _URL, 27)}",
    lambda r: f"fw_{draw(r, _ALNUM, 22)}",  # Fireworks
    lambda r: f"rdme_{draw(r, _LOWER, 70)}",  # ReadMe
    lambda r: f"EAAG{draw(r, _ALNUM, 120)}",  # Meta
    lambda r: f"sl.u.{draw(r, _URL, 130)}",  # Dropbox
)
_PHONES = {
    "phone": ("+44 7911 12{4}", "+1 512 6{2} 4{3}", "+49 176 4{3} {4}", "020 7946 1{3}", "+33 6 12 {2} {2} {2}"),
    "phone_de": ("0176 / 4{3} {4}", "0151-2{3}{4}", "+49 (0)160 9{6}"),
    "phone_fr": ("06 1{1} {2} {2} {2}", "+33 7 5{1} {2} {2} {2}"), "phone_es": ("6{2} {3} {3}", "+34 6{2} {2} {2} {2}"),
    "phone_pl": ("5{2} {3} {3}", "+48 6{2}-{3}-{3}"), "phone_it": ("347 1{2} {4}", "+39 333 2{6}"),
    "phone_nl": ("06-4{3}{4}", "+31 6 2{3} {4}"), "phone_pt": ("91{1} {3} {3}", "+351 96{1} {3} {3}"),
    "phoneplain": ("4917642{6}", "447911{6}", "15126{3}4{3}"),
}  # fmt: skip


class Situation(NamedTuple):
    """A payload with places to fill."""

    label: str
    family: str
    text: str


def situations(name: str) -> list[Situation]:
    """Return the blocks of one file beside this module."""
    found = []
    for block in re.split(r"(?m)^=== ", (Path(__file__).parent / f"{name}.txt").read_text("utf-8"))[1:]:
        head, _, text = block.partition("\n")
        label, family = re.match(r"(PUBLIC or INTERNAL|\w+) (.+)", head).groups()  # type: ignore[union-attr]
        found.append(Situation(label, family, text.rstrip("\n")))
    return found


def filled(text: str, chance: random.Random) -> str:
    """Return a text with every ``~kind~`` filled; the same kind is the same value, ``~kind2~`` another one."""
    drawn: dict[str, str] = {}
    names = chance.sample(_NAMES, 2)

    def value(match: re.Match[str]) -> str:
        if match[1] not in drawn:
            drawn[match[1]] = _value(match[1], names, chance)
        return drawn[match[1]]

    return re.sub(r"~([a-z]\w*)~", value, text)


def _value(kind: str, names: list[str], chance: random.Random) -> str:
    if kind in _MADE:
        return _MADE[kind](chance)
    plain = kind.rstrip("0123456789")
    name = names[kind.endswith("2")]
    if plain in ("name", "first", "last", "mail"):
        first, _, last = name.partition(" ")
        folded = re.sub(r"[^a-z.]", "", name.lower().replace(" ", "."))
        mail = f"{folded}{chance.choice(('', chance.randint(1, 99)))}@{chance.choice(_DOMAINS)}"
        return {"name": name, "first": first, "last": last, "mail": mail}[plain]
    if plain in _PHONES:
        return people.filled(chance.choice(_PHONES[plain]), chance)
    if plain in _SETS:
        # ~hex40~: so many of these letters.
        return draw(chance, _SETS[plain], int(kind[len(plain) :]))
    return _MADE[plain](chance)


def _b64(octets: int) -> Callable[[random.Random], str]:
    return lambda chance: base64.b64encode(chance.randbytes(octets)).decode()


def _codice(chance: random.Random) -> str:
    month, day = chance.choice("ABCDEHLMPRST"), chance.randint(10, 28)
    body = f"BNCMTT{chance.randint(50, 99)}{month}{day}F{chance.randint(100, 999)}"
    return next(body + letter for letter in string.ascii_uppercase if it_codice_fiscale(body + letter))


def _number(country: str) -> Callable[[random.Random], str]:
    return people.NUMBERS[country][1]


def _searched(make: Callable[[random.Random], str], kind: str) -> Callable[[random.Random], str]:
    def search(chance: random.Random) -> str:
        while not NATIONAL_NUMBERS[kind](found := make(chance)):
            pass
        return found

    return search


def _pem(chance: random.Random) -> str:
    packed = base64.b64encode(chance.randbytes(300)).decode()
    lines = [packed[at : at + 64] for at in range(0, len(packed), 64)]
    return "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"])


def _login(chance: random.Random) -> str:
    return f"deploy:{draw(chance, _ALNUM, 15)}"


_MADE: dict[str, Callable[[random.Random], str]] = {
    "co": lambda r: r.choice(_COMPANIES),
    "port": lambda r: str(r.randint(3000, 9000)),
    "d": lambda r: str(r.randint(1, 8)),
    "n": lambda r: str(r.randint(10, 900)),
    "uuid": lambda r: str(uuid.UUID(int=r.getrandbits(128), version=4)),
    "pwd": minted.password,
    "pwdurl": lambda r: quote(minted.password(r)),
    "address": lambda r: r.choice(_ADDRESSES),
    "card": people.card,
    "cardplain": lambda r: re.sub(r"\D", "", people.card(r)),
    "badcard": lambda r: re.sub(r"\D", "", people.card(r, broken=True)),
    "iban": people.iban,
    "ip": lambda r: ".".join(str(n) for n in (r.choice((84, 91, 151, 188)), *(r.randint(2, 250) for _ in range(3)))),
    "aws": minted.ISSUED["aws access key"],
    "gitlab": minted.ISSUED["gitlab"],
    "stripe": minted.ISSUED["stripe"],
    "npm": minted.ISSUED["npm"],
    "openai": lambda r: f"sk-proj-{draw(r, _URL, 120)}",
    "vendor": lambda r: r.choice(_VENDORS)(r),
    "bcrypt": lambda r: draw(r, _ALNUM + "./", 53),
    "pem_indented": lambda r: re.sub("(?m)^", "    ", _pem(r)),
    "pem_escaped": lambda r: _pem(r).replace("\n", "\\n"),
    "b64_login": lambda r: base64.b64encode(_login(r).encode()).decode(),
    "b64_of_password": lambda r: base64.b64encode(f"user: app\npassword: {minted.password(r)}\n".encode()).decode(),
    "url_of_password": lambda r: quote(f'{{"user": "app", "password": "{minted.password(r)}"}}', safe=""),
    "ssn": _number("us ssn"),
    "ssnplain": lambda r: _number("us ssn")(r).replace("-", ""),
    "pesel": _number("pl pesel"),
    "nir": _number("fr nir"),
    "dni": _number("es dni"),
    "cpf": _number("br cpf"),
    "nhs": _number("uk nhs"),
    "bsn": _number("nl bsn"),
    "personnummer": _number("se personnummer"),
    "cf": _codice,
    "steuer": _searched(lambda r: people.filled("{7}{4}", r), "de_tax_id"),
    "ahv": _searched(lambda r: "756." + people.filled("{4}.{4}.{2}", r), "ch_ahv"),
    **{f"b64_{octets}": _b64(octets) for octets in (20, 30, 32, 48, 64)},
    "b64_32b": _b64(32),
}
