"""Values that only their column or member says the meaning of: tables with a row of names, and members of objects.

``ssn`` over nine digits, ``password`` over a word, a diagnosis beside a patient's name. A record is what stands under
one set of names: a row of a table in a text (CSV, TSV, Markdown, SQL's INSERT and COPY), an object, a row of an array
whose first row or whose ``columns`` name the cells. What is found without its name is left to the other rules.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain, islice
from typing import NamedTuple

from metaqore.security import detect_numbers as numbers
from metaqore.security.assess_payload import Document
from metaqore.security.detect_marks import unmarked
from metaqore.security.detect_patterns import occurs
from metaqore.security.detect_rule import Hit, one_line
from metaqore.security.detect_values import is_placeholder, looks_secret
from metaqore.security.model import Label

#: Kind of a column → how it is called, in words (``cardNumber`` is "card number"), folded.
_NAMES = {
    "password": r"""
        password|passwd|pwd|pass|pw|passphrase|passcode|kennwort|passwort|haslo|contrasena|senha|clave|mdp|
        mot ?de ?passe|wachtwoord|losenord|parola|heslo|sifre|passord|adgangskode|salasana
    """,
    "secret": r"""
        secret|token|api ?key|access ?key|private ?key|client secret|secret ?key|auth ?key|access token|api token
    """,
    "card": r"""
        card|card ?(?:number|no|num)|pan|cc ?(?:number|num|no)?|credit ?card(?: ?(?:number|no))?|karte|kreditkarte|
        karten ?nummer|kreditkarten ?nummer|numero(?: de)? (?:carte|tarjeta)|tarjeta|numer karty
    """,
    "pin": "cvv2?|cvc2?|csc|card verification(?: value| code)?|security code|pin|pin code",
    "number": r"""
        ssn|social ?security(?: ?(?:number|no|num))?|pesel|nir|nss|numero ?secu|(?:numero )?securite sociale|insee|dni|
        nie|nif|bsn|cpf|nhs(?: ?(?:number|no))?|steuer ?(?:id|idnr|nummer)|tax ?(?:id|number|no|payer id)|tin|
        taxpayer id|national ?(?:id|number|insurance number|insurance)|nino|personnummer|codice ?fiscale|cf|
        ahv(?: ?(?:nr|nummer|number))?|avs|aadhaar(?: number)?|sin|id ?number|personal ?(?:id|number|code)|citizen ?id|
        rijksregister ?nummer|idnr
    """,
    "document": r"""
        passport(?: ?(?:number|no|num))?|reisepass ?(?:nummer|nr)?|(?:personal)?ausweis ?(?:nummer|nr)?|
        driv(?:ing|ers?) ?licen[cs]e(?: ?(?:number|no))?|licen[cs]e number|id card(?: ?(?:number|no))?|pasaporte|
        numero passeport|passaporto|paszport
    """,
    "phone": r"""
        (?:tele)?phone(?: ?(?:number|no|num))?|tel|tel ?(?:nr|no)|telefon(?: ?nummer)?|mobile(?: ?(?:number|no|phone))?|
        mobil|handy(?: ?nummer)?|cell(?: ?phone)?|portable|telephone|telefono|movil|celular|telefone|telemovel|
        telefoon|cellulare|komorka|fax|msisdn|whatsapp
    """,
    "birth": r"""
        date ?of ?birth|birth ?date|birth ?day|dob|born|geburts ?(?:datum|tag)|geboren|date ?de ?naissance|
        fecha ?de ?nacimiento|data ?di ?nascita|data ?urodzenia|geboorte ?datum|fodelse ?datum|data ?de ?nascimento
    """,
    "diagnosis": r"""
        diagnos[ei]s|diagnose|icd ?(?:9|10|11)?(?: ?code)?|medical condition|illness|krankheit|diagnostic|diagnostico|
        diagnosi|rozpoznanie|choroba|maladie|enfermedad|malattia|medication|prescription|allergies|hiv status
    """,
    "salary": r"""
        (?:annual |gross |net |base |monthly )?(?:salary|pay|wage)|gehalt|brutto ?gehalt|salaire|sueldo|salario|
        stipendio|wynagrodzenie|salaris|compensation
    """,
    "street": r"""
        street(?: ?(?:address|name|line ?1?))?|address(?: ?(?:line)? ?1)?|strasse|str|anschrift|adresse|rue|calle|
        direccion|indirizzo|via|ulica|adres|straat|rua|endereco|morada|home address
    """,
    "place": r"""
        zip(?: ?code)?|post ?code|postal ?code|plz|code ?postal|codigo ?postal|cap|kod ?pocztowy|city|town|ort|stadt|
        ville|ciudad|citta|miasto|cidade
    """,
    "ip": r"(?:client |remote |last |login |source |user )?ip(?: ?(?:address|addr))?",
    "patient": r"(?:.*\b)?(?:patient|paciente|paziente|pacjent|pacjentka|patientin)(?: ?(?:name|nom|nombre|nome))?",
    "person": r"""
        (?:full|first|last|given|family|middle|sur|customer|employee|holder|card ?holder|client|member|owner|display|
        account|contact|user|recipient|student|tenant) ?name|name|surname|vorname|nachname|nom|prenom|nombre|apellidos?|
        nome|cognome|sobrenome|imie|nazwisko|naam|voornaam|achternaam|namn|fornamn|efternamn|person|holder|
        card ?holder|employee|mitarbeiter(?:in)?|kunde|kundin|cliente|e ?mail|user|username|login
    """,
}
_KINDS = {kind: re.compile(rf"(?:.* )?(?:{one_line(names)})") for kind, names in _NAMES.items()}
#: Tokens that open nothing.
_ABOUT = re.compile(r"\b(?:next|prev|previous|page|continuation|continue|cursor|sync|public|reset|stop|start|end)\b")
_APART = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_\-.\s]+")
_LONG = one_line(r"""
    passw(?:or)?d|passphrase|kennwort|passwort|haslo|contrasena|wachtwoord|losenord|mot_?de_?passe|adgangskode|
    secret|token|(?:api|access|auth|secret|private)_?key|card_?(?:number|no|num)|credit_?card|pesel|
    diagnos(?:is|e|es|tic|tico|i)|rozpoznanie|krankheit|maladie|enfermedad|malattia|medication|salary|gehalt|
    birth_?(?:day|date)|date_?of_?birth|geburts(?:datum|tag)|tax_?id|steuer_?(?:id|nummer)|national_?id|
    social_?security(?:_?(?:number|no))?|numero_?secu|passport(?:_?(?:number|no))?|phone(?:_?(?:number|no))?|
    telefon[eo]?|telefon_?nummer|street(?:_?(?:address|name))?|strasse|indirizzo|personnummer|codice_?fiscale|
    kreditkarte|patient(?:_?name)?|(?:client|remote|login|last|source|user)_?ip|ip_?addr(?:ess)?
""")
_SHORT = one_line(r"""
    pwd|pass|pw|senha|clave|mdp|heslo|sifre|card|pan|ssn|icd|icd_?10|dob|bsn|nir|dni|nie|cpf|nhs(?:_?(?:number|no))?|
    cvv2?|cvc2?|mobile|mobil|handy|tel|calle|rue|ulica|salaire|sueldo|via|tin|sin|nino|ip
""")
#: Names by which a table or an object may hold something that the other rules cannot see: between the signs of a
#: table; with a quotation mark, as JSON is written; as the lines of a document say it.
_NAME = rf"(?:{_LONG}|[^a-z](?:{_SHORT}))"
IN_TABLE = rf"(?i)(?:^|[\n,;\t|(\"'`_-]|[,|(] )(?:{_LONG}|{_SHORT})[\"'`]? ?(?:[,;|)\t\n]|\\t|$)"
IN_JSON = rf"(?i){_NAME}[\"'] ?[,\]:]"
_IN_LINES = rf"(?i)(?:{_LONG}|(?:^|[^a-z])(?:{_SHORT}))(?::|\n|$)"
_has_table, _has_names = occurs(IN_TABLE), occurs(_IN_LINES)
_MOST_ROWS = 500
_ICD = re.compile(r"[A-Z]\d\d(?:\.\w{1,4})?")
_DAY = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?:T.*)?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}")
_PERSONAL_NAME = re.compile(r"[A-Z][a-z'-]+(?: [A-Z]\.?)?(?: [a-z]{2,3})? [A-Z][A-Za-z'-]+(?: [A-Z][a-z'-]+)?")


class Cell(NamedTuple):
    """A value: characters ``[start, end)`` of the folded text, with what names it."""

    name: str
    start: int
    end: int


@lru_cache(maxsize=4096)
def kind_of(name: str) -> str | None:
    """Return what a column or member of that name holds; None for anything."""
    words = _APART.sub(" ", name.strip(" \"'`")).lower().strip()
    if not words or len(words) > 60:
        return None
    kind = next((kind for kind, pattern in _KINDS.items() if pattern.fullmatch(words)), None)
    return None if kind in ("password", "secret") and _ABOUT.search(words) else kind


def find(document: Document) -> list[tuple[str, Hit]]:
    """Return (rule id, hit) of the values that their names make secret or personal."""
    text = unmarked(document.text)
    data = text.encode()
    is_text = len(document.values) == 1 and document.values[0][2] is None
    rows: list[Iterable[list[Cell]]] = []
    if _has_table(data):
        # What has neither a second line nor a bracket is no table.
        rows += [
            _tables(text, start, end) for start, end, _ in document.values if not _SIGNS.isdisjoint(text[start:end])
        ]
    if not is_text and _has_names(data):
        rows.append(_objects(document, text))
    return [(f"record.{hit.type}", hit) for row in chain.from_iterable(rows) for hit in _judged(text, row)]


#: Their names alone say that their values are of a person.
_OF_A_PERSON = re.compile(r"(?i)first|last|vor|nach|prenom|imie|apellido|mail")


def _judged(text: str, row: Sequence[Cell]) -> Iterator[Hit]:
    kinds: dict[str, list[Cell]] = {}
    for cell in row:
        if cell.end > cell.start and (kind := kind_of(cell.name)):
            kinds.setdefault(kind, []).append(cell)
    if not kinds.keys() - {"person", "place", "patient"}:
        return
    named = any(
        _PERSONAL_NAME.fullmatch(text[cell.start : cell.end]) or _OF_A_PERSON.search(cell.name)
        for cell in kinds.get("person", ())
    )
    about = {"known": named or "patient" in kinds, "patient": "patient" in kinds or (named and "birth" in kinds)}
    for kind, cells in kinds.items():
        for cell in cells:
            found = _value(kind, text[cell.start : cell.end], kinds, about)
            if found is not None:
                yield Hit(found[0], found[1], 0.85, cell.start, cell.end)


def _value(kind: str, value: str, beside: Iterable[str], about: dict[str, bool]) -> tuple[str, Label] | None:
    """Return (type, label) of a value in a column of some kind; None for nothing."""
    found = _critical(kind, value, beside, about)
    if found:
        return found, Label.CRITICAL
    found = _personal(kind, value, beside, known=about["known"])
    return (found, Label.SENSITIVE) if found else None


def _critical(kind: str, value: str, beside: Iterable[str], about: dict[str, bool]) -> str | None:
    if kind == "password":
        return "password" if " " not in value and looks_secret(value, password=True) else None
    if kind == "secret":
        return "api_key" if " " not in value and looks_secret(value, password=False) else None
    if kind == "card":
        return "payment_card" if _numeric(value) and numbers.payment_card(value) else None
    if kind == "pin" and "card" in beside:
        return "pin" if value.isdigit() and 3 <= len(value) <= 8 and len(set(value)) > 1 else None
    if kind == "diagnosis" and about["patient"]:
        told = sum(map(str.isalpha, value)) > 2 or _ICD.fullmatch(value)
        return "health" if told and not is_placeholder(value) else None
    return None


def _personal(kind: str, value: str, beside: Iterable[str], *, known: bool) -> str | None:
    digits = numbers.digits_of(value)
    if kind == "number":
        return _national(value, digits)
    if kind == "phone":
        fine = 7 <= len(digits) <= 15 and _numeric(value) and len(set(digits)) > 2 and not numbers.is_fiction(digits)
        return "phone" if fine else None
    if kind == "street" and (known or "place" in beside):
        house = re.search(r"[A-Za-z]{3}.*\d|\d.*[A-Za-z]{3}", value)
        return "address" if house and "://" not in value and "@" not in value else None
    if not known:
        return None
    if kind == "document":
        return "identity_document" if re.fullmatch(r"[A-Z0-9]{6,18}", value) and len(digits) > 4 else None
    if kind == "birth":
        return "date_of_birth" if _DAY.fullmatch(value) else None
    if kind == "salary":
        return "salary" if 4 <= len(digits) <= 9 and len(digits) >= len(value) - 6 else None
    with suppress(ValueError):
        return "ip_address" if kind == "ip" and ipaddress.ip_address(value).is_global else None
    return None


def _numeric(value: str) -> bool:
    return not re.search(r"[^\d ()+./-]", value)


def _national(value: str, digits: str) -> str | None:
    if len(digits) == 9 and len(value) <= 11 and numbers.us_ssn(digits) and _numeric(value):
        return "us_ssn"
    if numbers.it_codice_fiscale(value):
        return "it_codice_fiscale"
    if value[-1:].isalpha():
        return "es_dni" if numbers.es_dni(value) else "uk_nino" if numbers.uk_nino(value) else None
    checks = numbers.NATIONAL_NUMBERS.items() if _numeric(value) and 9 <= len(digits) <= 15 else ()
    return next((kind for kind, check in checks if kind != "us_ssn" and check(digits)), None)


# Tables in a text.

_LINE_OF_NAMES = re.compile(IN_TABLE)
_COLUMN = re.compile(r"(?:[A-Za-z][\w.#/-]*(?: [\w.#/()-]+){0,3})?")
_SIGNS = frozenset("\n(")
_RULE = re.compile(r"[\s|:+=-]+")
_INSERT = re.compile(r"(?i)\)\s*values\s*")


def _tables(text: str, first: int, last: int) -> Iterator[list[Cell]]:
    """Yield the rows of the tables in ``text[first:last]``."""
    read_to = first
    for found in islice(_LINE_OF_NAMES.finditer(text, first, last), 200):
        if found.start() < read_to:
            continue
        begin = max(first, text.rfind("\n", first, found.start() + 1) + 1)
        end = _end_of_line(text, begin, last)
        line = text[begin:end]
        opened = line.find("(")
        if opened >= 0 and re.match(r"(?i)\s*(?:insert|replace|copy)\b", line):
            yield from _inserted(text, begin + opened, end, last)
            read_to = end
            continue
        signs = [sign for sign in "|;\t," if sign in line]
        # A sentence with a comma is no header.
        names = _cells(text, begin, end, signs[0]) if signs else []
        if len(names) < 2 or not all(_COLUMN.fullmatch(text, a, b) for a, b in names):
            continue
        yield from islice(_rows(text, end + 1, last, signs[0], [text[a:b] for a, b in names]), _MOST_ROWS)
        read_to = end


def _end_of_line(text: str, start: int, last: int) -> int:
    end = text.find("\n", start, last)
    return last if end < 0 else end


def _rows(text: str, start: int, last: int, sign: str, names: list[str]) -> Iterator[list[Cell]]:
    while start < last:
        end = _end_of_line(text, start, last)
        if not (sign == "|" and _RULE.fullmatch(text, start, end)):
            cells = _cells(text, start, end, sign)
            if len(cells) != len(names):
                return
            yield [Cell(name, *span) for name, span in zip(names, cells, strict=True)]
        start = end + 1


def _cells(text: str, start: int, end: int, sign: str) -> list[tuple[int, int]]:
    """Return the spans of the cells of a line, without quotes and blanks around them."""
    cells, quote, begin = [], "", start
    for place in range(start, min(end, start + 20_000)):
        char = text[place]
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'" and not text[begin:place].strip():
            quote = char
        elif char == sign:
            cells.append((begin, place))
            begin = place + 1
    cells.append((begin, end))
    if sign == "|" and len(cells) > 2 and not text[slice(*cells[0])].strip():
        cells = cells[1:-1] if not text[slice(*cells[-1])].strip() else cells[1:]
    return [_bare(text, *cell) for cell in cells]


def _bare(text: str, start: int, end: int) -> tuple[int, int]:
    inner = text[start:end]
    stripped = inner.strip(" \r\t")
    start += len(inner) - len(inner.lstrip(" \r\t"))
    end = start + len(stripped)
    if len(stripped) > 1 and stripped[0] in "\"'`" and stripped[0] == stripped[-1]:
        return start + 1, end - 1
    return start, end


def _inserted(text: str, opened: int, end: int, last: int) -> Iterator[list[Cell]]:
    """Yield the rows of ``INSERT INTO t (a, b) VALUES (1, 'x'), …`` and of ``COPY t (a, b) FROM stdin;``."""
    closed = text.find(")", opened)
    if closed < 0:
        return
    names = [text[a:b] for a, b in _cells(text, opened + 1, closed, ",")]
    values = _INSERT.match(text, closed)
    if values is None:
        yield from islice(_rows(text, end + 1, last, "\t", names), _MOST_ROWS)
        return
    place = values.end()
    for _ in range(_MOST_ROWS):
        if text[place : place + 1] != "(" or (closed := text.find(")", place)) < 0:
            return
        cells = _cells(text, place + 1, closed, ",")
        if len(cells) == len(names):
            yield [Cell(name, *span) for name, span in zip(names, cells, strict=True)]
        after = text[closed + 1 : closed + 80]
        place = closed + 1 + len(after) - len(after.lstrip(", \n"))


# Members of a JSON value.

_WHO = frozenset({"person", "patient", "birth"})
_HEADS = ("columns", "header", "headers", "fields", "cols", "names")


def _objects(document: Document, text: str) -> Iterator[list[Cell]]:
    """Yield the members of each object, with who is meant beside or around it, and the rows of arrays of arrays."""
    rows: dict[str, list[tuple[int, int]]] = {}
    members: dict[str, list[Cell]] = {}
    for start, end, pointer in document.values:
        parent, _, name = (pointer or "").rpartition("/")
        if name.isdigit():
            rows.setdefault(parent, []).append((start, end))
        else:
            members.setdefault(parent, []).append(Cell(name, start, end))
    told: dict[str, list[Cell]] = {}
    for parent, cells in members.items():
        above, _, name = parent.rpartition("/")
        if not name.isdigit():
            # {"patient": {"name": …}, "diagnosis": …}
            people = [cell._replace(name=f"{name} {cell.name}") for cell in cells]
            told.setdefault(above, []).extend(cell for cell in people if kind_of(cell.name) in _WHO)
    for parent, cells in members.items():
        around = members.get(parent.rpartition("/")[0], ()) if parent else ()
        yield [*cells, *told.get(parent, ()), *(cell for cell in around if kind_of(cell.name) in _WHO)]
    yield from _arrays(text, rows)


def _arrays(text: str, rows: dict[str, list[tuple[int, int]]]) -> Iterator[list[Cell]]:
    for parent, cells in islice(rows.items(), 2 * _MOST_ROWS):
        above, _, number = parent.rpartition("/")
        if not number.isdigit():
            # {"ssn": ["123-45-6789", …]}
            yield [Cell(number, *span) for span in cells[:_MOST_ROWS]]
            continue
        table = above.rpartition("/")[0]
        head = next((rows[f"{table}/{name}"] for name in _HEADS if f"{table}/{name}" in rows), None)
        if head is None and number != "0":
            head = rows.get(f"{above}/0")
        if head is not None and len(head) == len(cells):
            yield [Cell(text[slice(*name)], *span) for name, span in zip(head, cells, strict=True)]
