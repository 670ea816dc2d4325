"""Payment cards, bank accounts and national numbers: found by shape, kept only where the check digit holds.

Numbers whose check a random one often passes need words near them that speak of such a number.
"""

from __future__ import annotations

import re

from metaqore.security import detect_numbers as numbers
from metaqore.security.detect_patterns import Match
from metaqore.security.detect_people import Tie, person_in
from metaqore.security.detect_rule import Hit, Rule, Words, around, before
from metaqore.security.model import Label

#: A digit group inside something longer: an amount, a hash, a version, a serial with letters.
_GLUED_BEFORE = re.compile(r"(?:[A-Za-z0-9_#/]|[0-9][.,-])\Z")
_GLUED_AFTER = re.compile(r"^(?:[A-Za-z0-9_]|[.,-][0-9])")

_CARD_TALK = Words(
    r"""
    card|cards|credit|debit|visa|mastercard|amex|american express|pan|cc|payment|charge|cardholder|expires?|
    expiry|cvv|karte|kreditkarte|carte|karta|karty
    """
)
_NOT_CARD_TALK = Words(
    r"""
    pallet|order|tracking|shipment|parcel|serial|invoice|isbn|imei|timestamp|ticket|transaction id|id|build|
    cost cent(?:er|re)|ledger|barcode|ean|gtin|sku
    """
)
_ID_TALK = Words(
    r"""
    social security|ssn|national|identity|identification|insurance n(?:umber|o)|nhs|patient|pesel|steuer\w*|tax|
    tin|nir|securite sociale|insee|fiscal\w*|personal n(?:umber|o)|personnummer|bsn|burgerservice\w*|citizen\w*|
    id n(?:umber|o)|id card|cpf|sin|aadhaar|ahv|avs|rijksregister\w*|numero national|idnr|identifikationsnummer|
    dni|nie|nif|codice fiscale|cf|nss|nino|steuer id|passport|born|date of birth|dob|national_?id|citizen_?id|taxpayer
    """
)
#: Numbers that payment processors publish for tests, and words without which nobody would tell them apart.
_TEST_CARDS = frozenset(
    """
    4111111111111111 4242424242424242 4012888888881881 4000056655665556 4222222222222 5555555555554444
    5105105105105100 2223003122003222 5200828282828210 378282246310005 371449635398431 378734493671000
    6011111111111117 6011000990139424 3056930009020004 36227206271667 30569309025904 38520000023237
    3566002020360505 6200000000000005 3530111333300000 4000000000000002 4917610000000000 6799990100000000019
    """.split()
)
_TEST_TALK = Words(
    r"""
    test|tests|testing|test ?card|sandbox|example|examples|e\.g|for instance|sample|dummy|fake|demo|documentation|
    fixture|docs|mock|placeholder|beispiel|exemple|ejemplo|esempio
    """
)
#: Numbers rare enough by chance to count without words near them.
_SELF_EVIDENT = {"pl_pesel", "fr_nir", "ch_ahv"}
_OF_BOOKS = re.compile(r"(?:isbn|issn|doi|ean|gtin)(?:-1[03])?:? ?$")
_MOST_GROUPS = 5
_LENGTHS = {
    9: ("us_ssn", "nl_bsn", "ca_sin"),
    10: ("uk_nhs", "se_personnummer"),
    11: ("pl_pesel", "de_tax_id", "be_national_number", "br_cpf"),
    12: ("in_aadhaar", "se_personnummer"),
    13: ("ch_ahv",),
    15: ("fr_nir",),
}


def words_apart(text: str) -> str:
    """Return a text with the words of its names apart: ``tax_id``, ``taxId`` say what ``tax id`` does."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", text)


def _stands_alone(text: str, match: Match) -> bool:
    return not (
        _GLUED_BEFORE.search(text[max(0, match.start - 2) : match.start])
        or _GLUED_AFTER.search(text[match.end : match.end + 2])
    )


def _card(text: str, match: Match) -> Hit | None:
    if not numbers.payment_card(match.text) or not _stands_alone(text, match):
        return None
    groups = re.split(r"[ -]", match.text)
    if len(groups) > 1 and not _card_groups([len(g) for g in groups]):
        return None
    near = around(text, match.start, match.end, 60)
    if numbers.digits_of(match.text) in _TEST_CARDS and _TEST_TALK.occur(near):
        return None
    if len(groups) == 1 and len(match.text) == 13 and not _CARD_TALK.occur(near):
        return None  # Cards have not had so few digits for long; telephones do.
    # A bare Luhn number beside other business words is a coincidence one time in forty.
    if _NOT_CARD_TALK.occur(before(text, match.start, 24)) and not _CARD_TALK.occur(near):
        return None
    confidence = 0.97 if len(groups) > 1 or _CARD_TALK.occur(near) else 0.85
    return Hit("payment_card", Label.CRITICAL, confidence, match.start, match.end)


def _card_groups(sizes: list[int]) -> bool:
    return sizes in ([4, 4, 4, 4], [4, 6, 5], [4, 6, 4], [4, 4, 4, 4, 3], [4, 4, 4, 1])


def _iban(_text: str, match: Match) -> Hit | None:
    packed = match.text.replace(" ", "").replace("-", "").upper()
    # Words may follow the number: try the length that its country has.
    length = numbers.IBAN_LENGTHS.get(packed[:2], 0)
    if not length or len(packed) < length or not numbers.iban(packed[:length]):
        return None
    places = [place for place, char in enumerate(match.text) if char.isalnum()]
    end = places[length - 1] + 1
    return Hit("iban", Label.SENSITIVE, 0.99, match.start, match.start + end)


def _ssn(text: str, match: Match) -> Hit | None:
    if not _stands_alone(text, match) or not numbers.us_ssn(match.text):
        return None
    return Hit("us_ssn", Label.SENSITIVE, 0.9, match.start, match.end)


def _national(text: str, match: Match) -> Hit | None:
    digits = numbers.digits_of(match.text)
    if len(digits) not in _LENGTHS or not _stands_alone(text, match):
        return None
    if _OF_BOOKS.search(before(text, match.start, 12)):
        return None
    kinds = [kind for kind in _LENGTHS[len(digits)] if numbers.NATIONAL_NUMBERS[kind](digits)]
    if len(re.split(r"[ .+-]", match.text)) > _MOST_GROUPS:
        # Figures in a row; only a French number is written in so many groups.
        kinds = [kind for kind in kinds if kind == "fr_nir"]
    if not kinds:
        return None
    near = around(text, match.start, match.end, 70)
    told = bool(_ID_TALK.occur(words_apart(near))) or person_in(near) is Tie.STRONG
    evident = [kind for kind in kinds if kind in _SELF_EVIDENT or _written_as_such(kind, match.text)]
    if evident and not _NOT_CARD_TALK.occur(before(text, match.start, 24)):
        return Hit(evident[0], Label.SENSITIVE, 0.95 if told else 0.8, match.start, match.end)
    return Hit(kinds[0], Label.SENSITIVE, 0.96, match.start, match.end) if told else None


def _written_as_such(kind: str, text: str) -> bool:
    """True where the separators are those of that number: 529.982.247-25, 85.07.30-033.28, 811228-9874."""
    shapes = {
        "br_cpf": r"\d{3}\.\d{3}\.\d{3}-\d{2}",
        "be_national_number": r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}",
        "se_personnummer": r"(?:\d{2})?\d{6}[-+]\d{4}",
    }
    return kind in shapes and bool(re.fullmatch(shapes[kind], text))


def _lettered(text: str, match: Match) -> Hit | None:
    packed = match.text.replace(" ", "").replace("-", "")
    told = bool(_ID_TALK.occur(words_apart(around(text, match.start, match.end, 70))))
    if len(packed) == 16 and numbers.it_codice_fiscale(packed):
        return Hit("it_codice_fiscale", Label.SENSITIVE, 0.97, match.start, match.end)
    if packed[:2].isalpha() and packed[:2].isupper() and numbers.uk_nino(packed):
        return Hit("uk_nino", Label.SENSITIVE, 0.95 if told else 0.75, match.start, match.end)
    if packed[-1].isalpha() and numbers.es_dni(packed) and (told or packed[0] in "XYZ"):
        return Hit("es_dni", Label.SENSITIVE, 0.9, match.start, match.end)
    return None


def _document(text: str, match: Match) -> Hit | None:
    value = match.groups["value"]
    if sum(map(str.isdigit, value)) < 5:
        return None
    start = match.end - len(value)
    return Hit("identity_document", Label.SENSITIVE, 0.8, start, match.end)


RULES: tuple[Rule, ...] = (
    Rule("identity.payment_card", r"\b\d(?:[ -]?\d){12,18}", _card),
    # Groups of four, or none: what follows may be the next one.
    Rule(
        "identity.iban",
        r"\b[A-Z]{2}\d{2}(?:(?:[ -][A-Z0-9]{4}){2}[ -][A-Z0-9]{3,4}(?:[ -][A-Z0-9]{1,4}){0,5}\b|"
        r"(?:[ -]?[A-Z0-9]){11,40})|"
        r"(?i)\b[A-Z]{2}\d{2}[A-Z0-9]{11,40}",
        _iban,
    ),
    Rule("identity.us_ssn", r"\b\d{3}-\d{2}-\d{4}", _ssn),
    Rule("identity.national", r"\b\d(?:[ .+-]?\d){8,14}", _national),
    Rule(
        "identity.lettered",
        r"\b(?:[A-Z]{6}[0-9LMNPQRSTUV]{2}[A-EHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]|"
        r"[A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]|(?:\d{8}|[XYZ]-?\d{7})-?[A-Z])\b",
        _lettered,
    ),
    Rule(
        "identity.document",
        r"(?i)\b(?:passport|driv(?:ing|er'?s?) licen[cs]e|(?:national )?identity card|id card|(?:personal)?ausweis|"
        r"reisepass|fuhrerschein|passeport|carte d'identite|permis de conduire|pasaporte|passaporto|carta d'identita|"
        r"paszport|dowod osobisty|paspoort)-?(?: ?(?:number|nummer|no\.?|nr\.?|num(?:ero)?\.?|n\.))?(?: is| ist| est)?"
        r"[ :#=]{1,3}(?P<value>[A-Z0-9]{6,18})\b",
        _document,
    ),
)
