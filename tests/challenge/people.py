"""Personal data: names, numbers with valid check digits, addresses, and what only looks like them. All made up."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from metaqore.security.detect_numbers import IBAN_LENGTHS, luhn
from tests.challenge import hosts
from tests.challenge.case import Case

NAMES = {
    "a": ("Hannah Vogel", "Luca Ferrari", "Emily Carter", "Jean Moreau", "Piotr Zielinski", "Carmen Ruiz",
          "David Okafor", "Priya Nair", "Sven Lindqvist", "Maria Santos", "Tom van Dijk", "Fatima Haddad"),
    "b": ("Oliver Brandt", "Giulia Romano", "Grace Sullivan", "Camille Girard", "Agnieszka Nowak", "Javier Ortega",
          "Samuel Mensah", "Rahul Gupta", "Ingrid Solberg", "Paulo Pereira", "Anna de Boer", "Omar Khalil"),
    "c": ("Clara Neumann", "Marco Greco", "Jack Thompson", "Elodie Faure", "Tomasz Wrona", "Lucia Vega",
          "Ngozi Eze", "Arjun Patel", "Freja Lund", "Tiago Costa", "Ruben Visser", "Leila Farahani"),
}  # fmt: skip
_DOMAINS = ("posteo.eu", "gmail.com", "web.de", "orange.fr", "outlook.com", "libero.it", "wp.pl", "yahoo.co.uk")


def _digits(chance: random.Random, count: int) -> str:
    return str(chance.randint(1, 9)) + "".join(str(chance.randint(0, 9)) for _ in range(count - 1))


def _passing(chance: random.Random, count: int, check: Callable[[str], bool], prefix: str = "") -> str:
    while True:
        number = prefix + _digits(chance, count - len(prefix))
        if check(number):
            return number


def card(chance: random.Random, *, broken: bool = False) -> str:
    """Return a payment card's number; ``broken`` with a wrong check digit."""
    prefix, size = chance.choice((("4", 16), ("51", 16), ("55", 16), ("2223", 16), ("37", 15), ("6011", 16)))
    number = _passing(chance, size, luhn, prefix)
    if broken:
        number = number[:-1] + str((int(number[-1]) + chance.randint(1, 8)) % 10)
    if size == 16 and chance.random() < 0.6:
        sign = chance.choice(" -")
        number = sign.join(number[i : i + 4] for i in range(0, 16, 4))
    return number


def iban(chance: random.Random, *, broken: bool = False) -> str:
    """Return an IBAN of any country."""
    country = chance.choice(sorted(IBAN_LENGTHS))
    body = _digits(chance, IBAN_LENGTHS[country] - 4)
    packed = int("".join(str(int(c, 36)) for c in body + country + "00"))
    check = (98 - packed % 97 + (3 if broken else 0) - 2) % 97 + 2
    text = f"{country}{check:02}{body}"
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4)) if chance.random() < 0.5 else text


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(d) * w for d, w in zip(digits, weights, strict=False))


def _cnpj(number: str) -> bool:
    for size, weights in ((12, (5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)), (13, (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2))):
        rest = _weighted(number, weights) % 11
        if int(number[size]) != (0 if rest < 2 else 11 - rest):
            return False
    return True


def _cpf(chance: random.Random) -> str:
    body = _digits(chance, 9)
    for size in (9, 10):
        body += str(_weighted(body, tuple(range(size + 1, 1, -1))) * 10 % 11 % 10)
    return f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}"


def _dni(chance: random.Random) -> str:
    number = chance.randint(10_000_000, 99_999_999)
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def _ssn(chance: random.Random) -> str:
    return f"{chance.randint(101, 665)}-{chance.randint(11, 98)}-{chance.randint(1001, 9998)}"


def _pesel(chance: random.Random) -> str:
    body = f"{chance.randint(50, 99)}{chance.randint(1, 12):02}{chance.randint(1, 28):02}{chance.randint(1000, 9999)}"
    return body + str(-_weighted(body, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10)


def _nir(chance: random.Random) -> str:
    body = f"{chance.choice('12')}{chance.randint(50, 99)}{chance.randint(1, 12):02}{chance.randint(11, 95)}"
    body += f"{chance.randint(100, 990):03}{chance.randint(100, 999)}"
    return f"{body}{97 - int(body) % 97:02}"


def _nhs(chance: random.Random) -> str:
    number = _passing(chance, 10, lambda n: (11 - _weighted(n[:9], tuple(range(10, 1, -1))) % 11) % 11 == int(n[9]))
    return f"{number[:3]} {number[3:6]} {number[6:]}"


def _bsn(chance: random.Random) -> str:
    return _passing(chance, 9, lambda n: _weighted(n, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0)


def _personnummer(chance: random.Random) -> str:
    day = f"{chance.randint(50, 99)}{chance.randint(1, 12):02}{chance.randint(1, 28):02}"
    number = _passing(chance, 10, luhn, day)
    return f"{number[:6]}-{number[6:]}"


#: Country's number → (words before it, how it is made).
NUMBERS: dict[str, tuple[str, Callable[[random.Random], str]]] = {
    "us ssn": ("SSN", _ssn), "br cpf": ("CPF", _cpf), "es dni": ("DNI", _dni), "pl pesel": ("PESEL", _pesel),
    "fr nir": ("numéro de sécurité sociale", _nir), "uk nhs": ("NHS number", _nhs), "nl bsn": ("BSN", _bsn),
    "se personnummer": ("personnummer", _personnummer),
    "uk nino": ("National Insurance number", lambda r: f"{r.choice(('AB', 'CE', 'JG', 'PX'))} {_digits(r, 2)} "
                f"{_digits(r, 2)} {_digits(r, 2)} {r.choice('ABCD')}"),
    "ca sin": ("SIN", lambda r: _passing(r, 9, luhn, r.choice("123567"))),
    "passport": ("passport no.", lambda r: r.choice("CFGHJKX") + _digits(r, 8)),
    "driving licence": ("driving licence number", lambda r: r.choice("ABDK") + _digits(r, 10)),
    "german id card": ("Personalausweisnummer", lambda r: f"L{_digits(r, 2)}X{_digits(r, 5)}"),
}  # fmt: skip
_PHONES = (
    "+49 30 {4}{4}", "+49 (0)171 {7}", "0171/{7}", "+33 6 {2} {2} {2} {2}", "06 {2} {2} {2} {2}", "+44 20 7{3} {4}",
    "07{3} {6}", "(415) 6{2}-{4}", "+1-212-6{2}-{4}", "+39 06 {4} {4}", "+34 6{2} {3} {3}", "+48 6{2} {3} {3}",
    "+31 6 {4}{4}", "+46 70 {3} {2} {2}", "+55 11 9{4}-{4}", "+91 98{3} {5}", "+81 3-{4}-{4}", "+86 138 {4} {4}",
    "+61 4{2} {3} {3}", "0041 44 {3} {2} {2}",
)  # fmt: skip
_ADDRESSES = (
    "Lindenstraße {2}, 10{3} Berlin", "{2} rue de la Paix, 75002 Paris", "{2} Maple Avenue, Springfield, IL 62{3}",
    "{2} High Street, Bristol BS1 {1}AB", "Via Garibaldi {2}, 00153 Roma", "Calle Mayor {2}, 28013 Madrid",
    "ul. Długa {2}/{1}, 00-238 Warszawa", "Keizersgracht {2}, 1015 CJ Amsterdam",
    "Drottninggatan {2}, 111 21 Stockholm",
    "Bahnhofstrasse {2}, 8001 Zürich", "Rua Augusta {2}, 1100-053 Lisboa", "Avenida Paulista {2}, São Paulo 01310-100",
    "{2} Queen Street West, Toronto, ON M5H 2N2", "{2} George Street, Sydney NSW 2000",
)  # fmt: skip


def filled(template: str, chance: random.Random) -> str:
    """Return a template with ``{n}`` replaced by n digits."""
    for size in range(1, 8):
        while f"{{{size}}}" in template:
            template = template.replace(f"{{{size}}}", _digits(chance, size), 1)
    return template


_TOLD = {
    "a": {
        "email": ("Write to {name} at {email}.", "{email} opened the ticket.", "cc {email}", "owner={email}"),
        "phone": ("Call {name} on {phone}.", "Tel. {phone} ({name})", "mobile: {phone}", "Rückruf bitte: {phone}"),
        "address": ("{name} lives at {address}.", "Ship to: {name}, {address}", "Anschrift: {address}"),
        "iban": ("Please pay to {iban}.", "IBAN {iban} ({name})", "refund goes to {iban}"),
        "number": ("{name}, {what} {number}.", "{what}: {number}", "applicant {name} gave {what} {number}"),
        "born": ("{name}, born {date}, applied for the post.", "Date of birth: {date} ({name})"),
        "ip": ("{name} logged in from {ip}.", "The customer {name} used {ip} from home."),
        "salary": ("{name} earns EUR {salary} a year.", "Gross salary of {name}: {salary} EUR per month."),
    },
    "b": {
        "email": ("You can reach {name} via {email}.", "From: {name} <{email}>", "invited {email} to the team"),
        "phone": ("{name} asked to be rung at {phone}.", "Phone: {phone}", "Kontakt: {name}, {phone}",
        "SMS to {phone}"),
        "address": ("{name} has moved to {address}.", "Deliver the parcel to {address}, {name}", "Wohnhaft: {address}"),
        "iban": ("Transfer the rent to {iban}.", "Account of {name}: {iban}", "Bankverbindung {iban}"),
        "number": ("Identity check of {name}: {what} {number}", "my {what} is {number}", "{what} = {number}"),
        "born": ("{name} (born on {date}) lost the badge.", "DOB {date}, {name}"),
        "ip": ("User {name} signed in from {ip}.", "visitor {name}, address {ip}"),
        "salary": ("{name} gets a salary of {salary} EUR.", "Annual pay for {name}: EUR {salary}"),
    },
    "c": {
        "email": ("{name} ({email}) wrote again.", "reply-to: {email}", "user {email} was locked out"),
        "phone": ("{name}'s number is {phone}.", "Mobil: {phone}", "text me at {phone}", "contact {name} / {phone}"),
        "address": ("Invoice address: {name}, {address}", "she lives in {address}", "Adresse: {address}"),
        "iban": ("my account: {iban}", "Kontoverbindung: {iban}", "please refund {iban}"),
        "number": ("{what} {number} ({name})", "customer {name} has {what} {number}", "{what}: {number}"),
        "born": ("{name} was born on {date} in Riga.", "birth date {date}, {name}"),
        "ip": ("login of {name} from {ip}", "Our customer {name} connects from {ip}."),
        "salary": ("{name} is paid EUR {salary} a year.", "Salary: {name}, {salary} EUR"),
    },
}  # fmt: skip
_CARDS = {
    "a": (
        "Charge {card}, valid until 09/29.",
        "my credit card {card} was stolen",
        "pan={card}",
        "{card}",
        "Karte: {card}",
    ),
    "b": (
        "Card number {card} declined.",
        "Please use Visa {card} for the booking",
        "cc: {card}",
        "paid with {card} by {name}",
    ),
    "c": ("{name}: card {card}", "refund to {card} please", "cardnumber={card}", "amex or visa? {card}"),
}
_NEARLY = {
    "a": ("ISBN 978-3-16-14841{1}-0", "Order {4}-{4}-{4} was shipped.", "Version {1}.{2}.{3} of the tool",
    "at 52.{5}, 13.{5}",
          "2026-0{1}-1{1}T0{1}:2{1}:3{1}Z", "1767{6} s since the epoch", "192.168.{1}.{2} answered",
          "port {4}, pid {5}",
          "support@example.com", "call 555-0123 in the film", "IBAN check fails for {badiban}",
          "card {badcard} is refused",
          "{4} rows, {6} bytes, {7} ns", "DOI 10.{4}/{6}", "RFC {4} section {1}.{1}", "part no. {3}-{5}-{2}",
          "noreply@github.com", "git@github.com:team/app.git", "id={7}", "Bahnhofstraße is a common street name."),
    "b": ("EAN {6}{6}1", "Invoice no. {4}/{2} is open", "v{1}.{1}.{1}-rc{1}", "lat 48.{6} lon 2.{6}", "build {5}.{3}",
          "duration 00:0{1}:1{1}.{3}", "10.0.{1}.{2} is down", "0x{7}", "info@example.org", "user@localhost",
          "IBAN {badiban} has a wrong check digit", "test number {badcard} fails Luhn", "{2}.{3}.{3} visitors",
          "score {1}.{6}, loss 0.{7}", "page {3} of {4}", "SKU {5}-{3}", "arXiv:2{3}.{5}", "ticket #{6}",
          "npm@10.{1}.{1}", "The road from Paris to Lyon is 465 km long."),
    "c": ("ISSN 1{3}-{4}", "tracking {4} {4} {4}", "2.{2}.{1}-beta", "37.{5},-122.{5}", "T+00:{2}:1{1}",
    "172.16.{1}.{2}",
          "sales@example.net", "IBAN must have {2} characters, {badiban} has a typo", "pan {badcard} is no card",
          "loss={1}.{5} step={6}", "CVE-2026-{5}", "chr7:{7}-{7}", "{3}-{4} of {5}", "uid={4} gid={4}", "SO-{6}",
          "0.{7} {1}.{7}", "RAM {5} kB", "license 10{3}", "The church stands on George Street.", "HTTP {3} in {2} ms"),
}  # fmt: skip


def people(chosen: str, seed: int, each: int = 3) -> Iterator[Case]:
    """Yield texts with personal data, and with cards."""
    chance = random.Random(seed)
    for kind, templates in _TOLD[chosen].items():
        for template in templates:
            for _ in range(each * 3 if kind in ("phone", "address", "number", "iban") else each):
                text, family = _told(template, kind, chosen, chance)
                yield Case(_somewhere(text, chance), family, "SENSITIVE")
    for template in _CARDS[chosen]:
        for _ in range(each * 2):
            text = template.format(card=card(chance), name=chance.choice(NAMES[chosen]))
            yield Case(_somewhere(text, chance), "person: card", "CRITICAL")


def nearly(chosen: str, seed: int, each: int = 3) -> Iterator[Case]:
    """Yield numbers and words that are nobody's."""
    chance = random.Random(seed)
    for template in _NEARLY[chosen]:
        for _ in range(each):
            text = template.replace("{badiban}", iban(chance, broken=True))
            text = filled(text.replace("{badcard}", card(chance, broken=True)), chance)
            yield Case(_somewhere(text, chance), "nobody", "PUBLIC or INTERNAL")


def _told(template: str, kind: str, chosen: str, chance: random.Random) -> tuple[str, str]:
    name = chance.choice(NAMES[chosen])
    number = chance.choice(sorted(NUMBERS))
    what, make = NUMBERS[number]
    mailbox = name.lower().replace(" ", chance.choice(("", ".", "_"))) + chance.choice(("", str(chance.randint(2, 99))))
    text = template.format(
        name=name, email=f"{mailbox}@{chance.choice(_DOMAINS)}", phone=filled(chance.choice(_PHONES), chance),
        address=filled(chance.choice(_ADDRESSES), chance), iban=iban(chance), what=what, number=make(chance),
        date=f"{chance.randint(1, 28)}.{chance.randint(1, 12)}.{chance.randint(1950, 2005)}",
        ip=".".join(str(n) for n in (chance.choice((81, 93, 178)), *(chance.randint(1, 250) for _ in range(3)))),
        salary=f"{chance.randint(31, 99)},{chance.randint(100, 999)}",
    )  # fmt: skip
    return text, f"person: {number if kind == 'number' else kind}"


def _somewhere(text: str, chance: random.Random) -> str:
    kind = chance.randrange(4)
    if kind == 0:
        return f"{hosts.sentence(chance)} {text} {hosts.sentence(chance)}"
    return f"{hosts.prose(chance, 4)}\n\n{text}" if kind == 1 else text
