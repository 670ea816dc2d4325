"""How a person is reached: e-mail, phone, postal address, and the IP address of somebody.

Reserved examples are none (RFC 2606 domains, RFC 5737 and RFC 3849 addresses, 555-01xx), nor are private and special
networks (IANA registries), nor mailboxes of a role such as ``info@``.
"""

from __future__ import annotations

import ipaddress
import re

from metaqore.security.detect_numbers import is_fiction
from metaqore.security.detect_patterns import Match
from metaqore.security.detect_people import Tie, person_in
from metaqore.security.detect_rule import Hit, Rule, Words, after, around, before
from metaqore.security.model import Label

_ROLE_MAILBOXES = frozenset(
    """
    info support sales contact hello help office noreply no-reply donotreply security abuse admin postmaster
    webmaster hostmaster press media jobs careers privacy legal team dev devs developers maintainers git
    opensource conduct feedback newsletter root user username you me your.name yourname name someone somebody
    nobody foo
    """.split()
)
_RESERVED_DOMAIN = re.compile(
    r"(?:^|\.)(?:example(?:\.(?:com|org|net|edu|co\.uk|de|fr|pl))?|test|invalid|localhost|localdomain|local|"
    r"internal|lan|"
    r"corp|domain\.(?:com|tld)|email\.com|your-?domain\.\w+|users\.noreply\.github\.com)$",
    re.IGNORECASE,
)
_PHONE_TALK = Words(
    r"""
    call\w*|phone\w*|telephone|tel|telefon\w*|mobile|mobil|cell|fax|reach\w*|dial|ring|sms|text me|whatsapp|
    signal|contact\w*|answering|
    answer (?:at|on)|leave a message|voicemail|handy\w*|rufnummer|portable|numero|komork\w*|zadzwon\w*|hotline|
    callback|landline|cellulare|telemovel|celular|movil|gsm|tlf|puhelin|llama\w*|rappel\w*|appel\w*|bel(?:len)?|
    chiama\w*|liga\w*|ring mig|ruf\w*|erreich\w*
    """
)
#: Speaks of a telephone only where the number looks like one: tickets, invoices and builds have numbers, too.
_NUMBER_TALK = Words("number|nummer|numer")
_NOT_PHONE_TALK = Words(
    r"""
    order|pallet|invoice|version|v|release|rfc|issue|ticket|port|isbn|cost cent(?:er|re)|serial|build|commit|page|
    pages|eur|usd|gbp|id|ledger|pr|pull|bytes
    """
)
_IP_OWNER = Words(
    r"""
    login|logged in|signed in|sign-?in|visitor|user|customer|client|caller|subscriber|from home|account|session|
    his|her|their|my|home|member|employee|suspect|posted|student|owner
    """
)
_ADDRESS_TALK = Words(
    r"""
    address|live[sd]? (?:at|in|on)|ship(?:ped|ping)? to|sen[dt]|deliver\w*|moved?|residen\w+|home|mail|post|
    billing|lives|located|adresse|anschrift|adres\w*|mieszka\w*|wohn\w*|habite\w*|domicil\w*|visit me
    """
)


#: ``abuse-contact@``, ``support+ticket@``, and mailing lists.
_OF_A_ROLE = re.compile(
    r"(?i)(?:(?:no-?reply|support|security|info|sales|press|bounces?|notifications?|alerts?|newsletter|mailer)[-+_]|"
    r"abuse|mailer-daemon|[^@]+@(?:googlegroups\.com|lists?\.|[a-z.-]*\blists\.))"
)


def _email(text: str, match: Match) -> Hit | None:
    local, _, domain = match.text.rpartition("@")
    if _RESERVED_DOMAIN.search(domain) or local.lower() in _ROLE_MAILBOXES or _OF_A_ROLE.match(match.text):
        return None
    # git@host:path and user:password@host are no mailboxes.
    if text[match.end : match.end + 1] in (":", "/") and local.lower() in ("git", "hg", "ssh"):
        return None
    if re.search(r"://[^\s/]*$", text[max(0, match.start - 60) : match.start]) or re.search(
        r"\.(?:png|jpe?g|svg|py)$", domain
    ):
        return None
    return Hit("email", Label.SENSITIVE, 0.95, match.start, match.end)


_DATE = re.compile(r"(?:19|20)\d{2}-\d{2}-\d{2}")
_OTHER = re.compile(
    r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{1,3}(?:\.\d{1,3}){3}|\d{3}-\d{2}-\d{4}|\d+\.\d*|"
    r"(?:1[5-9]|20)\d{2} ?-{0,3} ?(?:1[5-9]|20)\d{2}"
)
_GOES_ON = re.compile(r"[A-Za-z0-9_@]|\+[a-z]|[-./:,][0-9]")


def _phone(text: str, match: Match) -> Hit | None:
    number = match.text.rstrip(" .-(")
    end = match.start + len(number)
    if ")" not in number:
        number = number.lstrip("(")
    digits = number if number.isdigit() else re.sub(r"(?i)(?:x|ext\.?).*|\D", "", number)
    edge = text[match.start - 1 : match.start] if match.start else ""
    if (
        not 7 <= len(digits) <= 15
        or edge.isalnum()
        or edge in ("/", "#", "_", "-", ".")
        or (edge == "=" and number[0] != "+")
        or len(set(digits)) < 3
    ):
        return None
    if _GOES_ON.match(text[end : end + 2]) or _other_number(number, digits):
        return None
    near = before(text, match.start, 60) + " " + after(text, end, 24)
    told = bool(_PHONE_TALK.occur(near))
    if not told and _NOT_PHONE_TALK.occur(before(text, match.start, 24)):
        return None
    told = told or ((number != digits or len(digits) >= 10) and bool(_NUMBER_TALK.occur(near)))
    confidence = 0.92 if told else _phone_shape(number, digits)
    if not told and confidence < 0.7 and person_in(around(text, match.start, end, 40)) is Tie.STRONG:
        confidence = 0.8
    if told and _phone_shape(number, digits) == 0:
        return None
    return Hit("phone", Label.SENSITIVE, confidence, match.start, end) if confidence >= 0.7 else None


def _other_number(number: str, digits: str) -> bool:
    """True for dates, times, IP addresses, versions, ranges and North America's fiction range."""
    return bool(_OTHER.fullmatch(number) or is_fiction(digits) or _DATE.search(number))


def _phone_shape(number: str, digits: str) -> float:
    """Return how much a number looks like a phone's without any words near it; 0 where it cannot be one."""
    if number.isdigit() and not number.startswith("00"):
        # Long lists of numbers are common, and nothing but their length can be asked of them.
        return 0.4 if number[0] == "0" and 9 <= len(digits) <= 12 else 0.5 if 7 <= len(digits) <= 11 else 0.0
    if number.startswith(("+", "00")) and len(digits) >= 9:
        return 0.9
    if re.fullmatch(r"(?:1[-. ])?(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-. ]\d{4}(?: ?(?:x|ext\.?) ?\d{1,6})?", number):
        return 0.85
    if re.match(r"\(0?\d{2,5}\)", number):
        return 0.8
    if number[0] == "0" and 9 <= len(digits) <= 12:
        return 0.7 if re.search(r"[ /-]", number) else 0.4
    groups = re.split(r"[ .-]", number)
    grouped = len(groups) > 2 and all(2 <= len(group) <= 4 for group in groups)
    return 0.5 if grouped or 7 <= len(digits) <= 11 else 0.0


def _ip(text: str, match: Match) -> Hit | None:
    try:
        address = ipaddress.ip_address(match.text)
    except ValueError:
        return None
    if not address.is_global or address.is_multicast:
        return None
    near = around(text, match.start, match.end, 60)
    if person_in(near) is not Tie.STRONG and not _IP_OWNER.occur(near):
        return None
    return Hit("ip_address", Label.SENSITIVE, 0.85, match.start, match.end)


#: A day and a year, or two years: numbers that stand where those of a house and of a town would.
_DAYS = re.compile(
    r"(?i)\b(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]{0,6}\.? \d{1,2},? (?:1[5-9]|20)\d\d\b|"
    r"\b(?:19|20)\d\d,?\s(?:19|20)\d\d\b"
)


def _address(text: str, match: Match) -> Hit | None:
    if _DAYS.search(match.text):
        return None
    return Hit("address", Label.SENSITIVE, 0.9, match.start, match.end)


def _forces(text: str, match: Match) -> Hit | None:
    """A field post office, and the unit or ship before it."""
    near = text[max(0, match.start - 80) : match.start]
    unit = [found.start() for found in re.finditer(r"\b(?:PSC|Unit|USNS|USS|USNV|USCGC|CMR)\b[^\n]*\n?[^\n]*\Z", near)]
    return Hit("address", Label.SENSITIVE, 0.9, match.start - len(near) + unit[0] if unit else match.start, match.end)


def _street(text: str, match: Match) -> Hit | None:
    """A street and number alone may be anybody's: it takes words that speak of an address, or a person."""
    near = around(text, match.start, match.end, 60)
    if not _ADDRESS_TALK.occur(near) and person_in(before_as_written(text, match.start)) is not Tie.STRONG:
        return None
    return Hit("address", Label.SENSITIVE, 0.8, match.start, match.end)


def before_as_written(text: str, start: int, size: int = 50) -> str:
    """Return up to ``size`` characters before ``start``, as written."""
    return text[max(0, start - size) : start]


#: Said of one who earns, not of a post.
_PAID = re.compile(
    r"(?i)\b(?:earns|is paid|gets a|verdient|gagne|gana|guadagna|zarabia|verdient|payslip|pay of|salary of|pay for)\b"
)


def _pay(text: str, match: Match) -> Hit | None:
    """What somebody earns; a salary of nobody, or a range in an advertisement, is none."""
    near = around(text, match.start, match.end, 50)
    tie = person_in(near)
    if tie is not Tie.STRONG and (tie is Tie.NONE or not _PAID.search(near)):
        return None
    return Hit("salary", Label.SENSITIVE, 0.8, match.start, match.end)


def _born(text: str, match: Match) -> Hit | None:
    if person_in(around(text, match.start, match.start, 60)) is Tie.NONE and not re.match(r"(?i)born|geb", match.text):
        return None
    start = match.end - len(match.groups["date"])
    return Hit("date_of_birth", Label.SENSITIVE, 0.8, start, match.end)


_WORD = r"[A-Z][A-Za-z'.-]*"
_CITY = r"[A-Z][A-Za-z'.-]+(?: (?:[A-Z][A-Za-z'.-]+|an|am|im|der|la|le|de|sur|sous|les|upon|nad|of|d'[A-Z][a-z]+)){0,4}"
_STREET_TYPE = (
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Place|Pl|Square|Sq|Terrace|Way|"
    r"Close|Crescent|"
    r"Highway|Hwy|Parkway|Pkwy|Row|Mews|Grove|Gardens?|Hill|Alley|Trail|Circle|Walk|Green|Park|Quay|Wharf|Plaza)"
)
_SOUTHERN_STREET = (
    r"Via|Viale|Piazza|Piazzale|Strada|Vicolo|Corso|Borgo|Largo|Contrada|Rotonda|Incrocio|Stretto|Canale|Lungomare|"
    r"Calle|C\.|Avenida|Av\.|Avda\.?|Plaza|Paseo|Camino|Carrer|Ronda|Glorieta|Pasaje|Callejon|Cuesta|Rambla|Vial|"
    r"Alameda|Acceso|Urbanizacion|Rua|Travessa|Praca"
)
_UK_POSTCODE = r"[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}"
_SEP = r"(?: ?[,\n]\s*| )"

RULES: tuple[Rule, ...] = (
    Rule("contact.email", r"[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}\b", _email),
    Rule("contact.phone", r"(?:[+(]\(?|\b)\d(?:[ ./()-]{0,3}\d){6,16}(?: ?(?:x|ext\.?) ?\d{1,6})?", _phone),
    Rule("contact.ip", r"\b(?:\d{1,3}(?:\.\d{1,3}){3}|(?:[0-9a-fA-F]{1,4}:){2,7}(?::?[0-9a-fA-F]{1,4}){1,6})\b", _ip),
    # 4934 Anderson Isle Suite 008, Smithhaven, LA 85272
    Rule("contact.address_us", rf"\b\d{{1,6}} (?:{_WORD} ){{1,4}}?{_WORD}(?:,? (?:Suite|Apt\.?|Unit|Ste\.?|"
        rf"#) ?\w{{1,6}})?{_SEP}"
         rf"{_CITY},? [A-Z]{{2}} \d{{5}}(?:-\d{{4}})?\b", _address),
    Rule("contact.address_forces", r"\b(?:APO|FPO|DPO),? (?:AA|AE|AP) \d{5}\b", _forces),
    # Flat 95, Johnson Locks, Charlesburgh, CH73 6DB
    Rule("contact.address_uk", rf"\b(?:(?:Flat|Studio|Unit|Apartment|Apt|No\.?) )?\d{{1,5}}[A-Za-z]?,?[ \n]"
        rf"(?:{_WORD}[ ,\n]{{1,3}}){{1,8}}{_UK_POSTCODE}\b", _address),
    # Kasimir-Gerlach-Strasse 9, 42613 Perleberg; aleja Strazacka 33/28, 18-595 Koszalin; Jansstraat 7, 3765NC, Liessel
    Rule("contact.address_eu", rf"\b[A-Za-z][A-Za-z'.-]+(?: [A-Za-z'.-]+){{0,4}} \d{{1,5}} ?[a-zA-Z]?(?:[/-]\d{{1,4}})?"
        rf"(?: ?m\. ?\d+)?{_SEP}(?:[A-Z]{{1,2}}-)?(?:\d{{5}}|\d{{2}}-\d{{3}}|\d{{4}}(?: ?[A-Z]{{2}})?),?[ \n]{_CITY}",
        _address),
    # Piazza Coriolano, 424 Piano 9, 98043, Rometta; Camino de Nerea 13, Teruel, 39622
    Rule("contact.address_south", rf"\b(?:{_SOUTHERN_STREET}) (?:[A-Za-z'.-]+ ){{0,5}}[A-Za-z'.-]+,? ?\d{{1,4}}"
        r"[A-Za-z0-9 .,\n-]{0,50}?\b\d{5}\b", _address),
    # 39, boulevard Mendes, 04488 Briand
    Rule("contact.address_fr", rf"(?i:\b(?:\d{{1,4}}(?: ?(?:bis|ter))?,? )?(?:rue|avenue|boulevard|chemin|place|"
        rf"impasse|allee|quai|cours|route|square|passage))"
         rf"(?: [A-Za-z'.-]+){{1,7}}{_SEP}\d{{5}} {_CITY}", _address),
    # 12 Queen Street West, Toronto, ON M5H 2N2; 7 George Street, Sydney NSW 2000; Drottninggatan 12, 111 21 Stockholm;
    # Rua Augusta 83, 1100-053 Lisboa; Avenida Paulista 100, Sao Paulo 01310-100
    Rule("contact.address_far", rf"\b\d{{1,6}} (?:{_WORD} ){{1,4}}?{_WORD}{_SEP}(?:{_CITY},? (?:AB|BC|MB|NB|NL|NS|"
        rf"NT|NU|ON|PE|QC|SK|YT),? [A-Z]\d[A-Z] ?\d[A-Z]\d|{_CITY},? (?:NSW|VIC|QLD|WA|SA|TAS|ACT|NT),? \d{{4}})\b|"
        rf"\b[A-Z][a-z]+(?:gatan|vagen|gata|vag|gade|vej|veien|katu|tie|plan) \d{{1,4}}[A-Za-z]?{_SEP}"
        rf"\d{{3}} ?\d{{2}} {_CITY}|"
        rf"\b(?:{_SOUTHERN_STREET}) (?:[A-Za-z'.-]+ ){{0,5}}[A-Za-z'.-]+,? ?\d{{1,5}}{_SEP}(?:\d{{4}}-\d{{3}} {_CITY}|"
        rf"{_CITY}[ ,-]{{1,3}}(?:[A-Z]{{2}},? )?\d{{5}}-\d{{3}})\b", _address),
    Rule("contact.salary", r"(?i)\b(?:salary|gross pay|annual pay|monthly pay|wages?|earns|is paid|gehalt|verdient|"
        r"salaire|gagne|sueldo|salario|stipendio|compensation|pay rise)\b[^\n.!?]*?"
        r"(?:(?:EUR|USD|GBP|CHF|PLN|\$) ?\d{1,3}(?:[.,' ]?\d{3})+|"
        r"\d{1,3}(?:[.,' ]?\d{3})+(?:[.,]\d\d)? ?(?:EUR|USD|GBP|CHF|PLN|"
        r"euros?|dollars|pounds|zl)|\b\d{2,3}k\b)", _pay),
    Rule("contact.street", rf"\b\d{{1,5}}[A-Za-z]?,? (?:{_WORD} ){{1,3}}{_STREET_TYPE}\b|(?i:\b\d{{1,4}}(?: bis|"
        rf" ter)?,? (?:rue|avenue|boulevard|chemin|"
         rf"impasse|allee)) (?:de |du |des |la |le |l')*[A-Z][a-z]+|\b[A-Z][a-z]+(?:strasse|strase|str\.|weg|platz|"
         rf"gasse|allee|damm|ufer) \d{{1,4}}\b|"
         rf"\b(?:ul\.|ulica|aleja|al\.|plac|pl\.|os\.) {_WORD}(?: {_WORD})? \d{{1,4}}\b|"
         rf"\bP\.? ?O\.? Box \d{{1,6}}\b", _street),
    Rule("contact.postcode", rf"(?i:\b(?:address|addresse|anschrift|adres)\b)(?:\S* ){{1,10}}?(?:{_UK_POSTCODE}|"
        rf"\d{{5}} {_CITY}|\d{{2}}-\d{{3}} {_CITY})", _address),
    Rule("contact.born", r"(?i)\b(?:born(?: on)?|date of birth|d\.?o\.?b\.?|birth ?date|geboren am|geb\.|nee? le|"
        r"urodzon[ya])[ :]{1,3}(?P<date>\d{4}-\d{2}-\d{2}|\d{1,2}[./ -](?:\d{1,2}|[A-Za-z]{3,9})[./ -]\d{2,4}|"
        r"[A-Za-z]{3,9} \d{1,2},? \d{4})", _born),
)  # fmt: skip
