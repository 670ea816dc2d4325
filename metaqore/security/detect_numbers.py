"""Numbers that identify a person or an account, each with the check that its issuer defines.

A function takes the characters as they were written (separators allowed where people write them) and says whether
they can be such a number at all. Chance matches are rare: see the share of random numbers that pass, in each line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

#: Country → length, from the SWIFT IBAN registry (release 99).
IBAN_LENGTHS = {
    country: int(length)
    for length, countries in {
        "15": "NO", "16": "BE", "18": "DK FO FI GL NL SD", "19": "MK SI", "20": "AT BA EE KZ XK LT LU MN",
        "21": "CH HR LI LV", "22": "BG BH CR DE GB GE IE ME RS VA", "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG", "25": "LY PT ST", "26": "IS TR", "27": "BI DJ FR GR IT MC MR SM",
        "28": "AL AZ BY CY DO GT HN HU LB NI PL SV", "29": "BR EG PS QA UA", "30": "JO KW MU YE", "31": "MT SC",
        "32": "LC", "33": "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip

_VERHOEFF_D = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_P = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258"
)  # fmt: skip
_FICTION = re.compile(r"(?:1?\d{3}|1)?55501\d{2}")


def digits_of(text: str) -> str:
    """Return the digits of ``text`` without anything else."""
    return "".join(filter(str.isdigit, text))


def is_fiction(digits: str) -> bool:
    """North America's numbers that are set aside for fiction: 555-0100 to 555-0199, with or without what is before."""
    return bool(_FICTION.fullmatch(digits))


def luhn(digits: str) -> bool:
    """Check the last digit by ISO/IEC 7812-1 annex B. One random number in ten passes."""
    total = sum(map(int, digits[-1::-2])) + sum(sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])
    return total % 10 == 0


def payment_card(text: str) -> bool:
    """A primary account number: issuer prefix, length of that issuer, Luhn. One random 16-digit number in 40."""
    digits = digits_of(text)
    if len(set(digits)) < 2:
        return False
    head2, head3, head4 = int(digits[:2]), int(digits[:3]), int(digits[:4])
    lengths: tuple[int, ...] = ()
    if digits[0] == "4":
        lengths = (13, 16, 19)
    elif 51 <= head2 <= 55 or 2221 <= head4 <= 2720:
        lengths = (16,)
    elif head2 in (34, 37):
        lengths = (15,)
    elif head4 == 6011 or head2 == 65 or 644 <= head3 <= 649 or head2 == 62 or 3528 <= head4 <= 3589:
        lengths = (16, 17, 18, 19)
    elif head2 in (36, 38, 39) or 300 <= head3 <= 305:
        lengths = (14,)
    elif head2 in (50, 56, 57, 58, 63, 67):
        lengths = (16,)
    return len(digits) in lengths and luhn(digits)


def iban(text: str) -> bool:
    """ISO 13616: country, length, remainder 1 modulo 97 (ISO/IEC 7064). One random string in 97."""
    packed = "".join(filter(str.isalnum, text)).upper()
    if IBAN_LENGTHS.get(packed[:2]) != len(packed) or not packed[2:4].isdigit():
        return False
    return int("".join(str(int(c, 36)) for c in packed[4:] + packed[:4])) % 97 == 1


def us_ssn(text: str) -> bool:
    """US social security number, AAA-GG-SSSS. It has no check digit: areas and groups never issued are refused."""
    digits = digits_of(text)
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    # 078-05-1120 and 219-09-9999 were printed in advertisements and are void.
    used_in_public = digits in ("078051120", "219099999", "123456789", "111111111", "987654321")
    return (
        len(digits) == 9
        and area not in ("000", "666")
        and area < "900"
        and group != "00"
        and serial != "0000"
        and not used_in_public
    )


def uk_nhs(text: str) -> bool:
    """NHS number: weights 10 to 2 modulo 11. One random ten-digit number in eleven."""
    digits = digits_of(text)
    if len(digits) != 10 or len(set(digits)) == 1:
        return False
    check = 11 - sum(int(d) * w for d, w in zip(digits, range(10, 1, -1), strict=False)) % 11
    return check % 11 == int(digits[9]) and check != 10


def uk_nino(text: str) -> bool:
    """UK national insurance number: two letters, six digits, A to D (HMRC NIM39110)."""
    packed = "".join(filter(str.isalnum, text)).upper()
    prefix = packed[:2]
    return (
        len(packed) == 9
        and prefix not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ", "QQ")
        and prefix[0] not in "DFIQUV"
        and prefix[1] not in "DFIQUVO"
        and packed[2:8].isdigit()
        and packed[8] in "ABCD"
    )


def pl_pesel(text: str) -> bool:
    """PESEL: birth date with the century in the month, weights 1 3 7 9. One random number in about 55."""
    digits = digits_of(text)
    if len(digits) != 11:
        return False
    year, month, day = int(digits[:2]), int(digits[2:4]), int(digits[4:6])
    century = {0: 1900, 1: 2000, 2: 2100, 3: 2200, 4: 1800}[month // 20]
    if not _is_date(century + year, month % 20, day):
        return False
    return sum(int(d) * w for d, w in zip(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), strict=True)) % 10 == 0


def fr_nir(text: str) -> bool:
    """French NIR with its key: sex, year, month, department …, 97 minus the rest. Corsica is 2A, 2B."""
    packed = "".join(filter(str.isalnum, text)).upper()
    if len(packed) != 15 or packed[0] not in "12378":
        return False
    body = packed[:13].replace("2A", "19").replace("2B", "18") if packed[5:7] in ("2A", "2B") else packed[:13]
    if not (body + packed[13:]).isdigit() or not (1 <= int(packed[3:5]) <= 12 or 20 <= int(packed[3:5]) <= 99):
        return False
    return 97 - int(body) % 97 == int(packed[13:])


def de_tax_id(text: str) -> bool:
    """German tax id: one digit of the first ten twice or thrice, ISO/IEC 7064 MOD 11,10. One random number in 30."""
    digits = digits_of(text)
    if len(digits) != 11 or digits[0] == "0":
        return False
    repeats = sorted(digits[:10].count(d) for d in set(digits[:10]))
    if repeats[-1] not in (2, 3) or repeats[-2:] in ([2, 2], [2, 3], [3, 3]):
        return False
    product = 10
    for digit in digits[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def es_dni(text: str) -> bool:
    """Spanish DNI or NIE: the letter is the number modulo 23."""
    packed = "".join(filter(str.isalnum, text)).upper()
    number = packed[:-1].translate(str.maketrans("XYZ", "012"))
    return len(packed) == 9 and number.isdigit() and "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == packed[-1]


def it_codice_fiscale(text: str) -> bool:
    """Italian fiscal code: 15 characters and a control letter (DM 23/12/1976)."""
    packed = text.upper()
    odd = dict(zip("0123456789", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21), strict=True))
    odd |= dict(
        zip(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
            strict=True,
        )
    )
    even = {c: int(c, 36) - (0 if c.isdigit() else 10) for c in odd}
    if len(packed) != 16 or any(c not in odd for c in packed):
        return False
    total = sum(odd[c] for c in packed[0:15:2]) + sum(even[c] for c in packed[1:15:2])
    return chr(65 + total % 26) == packed[15]


def nl_bsn(text: str) -> bool:
    """Dutch BSN: weights 9 to 2 and -1, divisible by 11. One random nine-digit number in eleven."""
    digits = digits_of(text)
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    return len(digits) == 9 and digits.strip("0") != "" and sum(map(_product, digits, weights)) % 11 == 0


def be_national(text: str) -> bool:
    """Belgian national number: 97 minus the first nine modulo 97, with a 2 before it for births from 2000."""
    digits = digits_of(text)
    if len(digits) != 11 or not 0 <= int(digits[2:4]) <= 12:
        return False
    return int(digits[9:]) in (97 - int(digits[:9]) % 97, 97 - int("2" + digits[:9]) % 97)


def ch_ahv(text: str) -> bool:
    """Swiss AHV number: 756 and an EAN-13 check digit."""
    digits = digits_of(text)
    return len(digits) == 13 and digits[:3] == "756" and sum(map(_product, digits, (1, 3) * 6 + (1,))) % 10 == 0


def br_cpf(text: str) -> bool:
    """Brazilian CPF: two check digits modulo 11. One random number in a hundred."""
    digits = digits_of(text)
    if len(digits) != 11 or len(set(digits)) == 1:
        return False
    for length in (9, 10):
        check = sum(map(_product, digits[:length], range(length + 1, 1, -1))) * 10 % 11 % 10
        if check != int(digits[length]):
            return False
    return True


def ca_sin(text: str) -> bool:
    """Canadian SIN: Luhn. One random nine-digit number in ten."""
    digits = digits_of(text)
    return len(digits) == 9 and digits[0] not in "08" and luhn(digits)


def in_aadhaar(text: str) -> bool:
    """Indian Aadhaar: Verhoeff's dihedral check. One random twelve-digit number in ten."""
    digits = digits_of(text)
    if len(digits) != 12 or digits[0] in "01":
        return False
    check = 0
    for position, digit in enumerate(reversed(digits)):
        check = int(_VERHOEFF_D[check][int(_VERHOEFF_P[position % 8][int(digit)])])
    return check == 0


def se_personnummer(text: str) -> bool:
    """Swedish personal number YYMMDD-NNNN: a date and Luhn."""
    digits = digits_of(text)[-10:]
    return len(digits) == 10 and _is_date(2000, int(digits[2:4]), int(digits[4:6])) and luhn(digits)


def _product(digit: str, weight: int) -> int:
    return int(digit) * weight


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


#: Finding type → check, for numbers of nine to fifteen digits that look alike.
NATIONAL_NUMBERS: dict[str, Callable[[str], bool]] = {
    "us_ssn": us_ssn,
    "uk_nhs": uk_nhs,
    "pl_pesel": pl_pesel,
    "de_tax_id": de_tax_id,
    "fr_nir": fr_nir,
    "nl_bsn": nl_bsn,
    "be_national_number": be_national,
    "ch_ahv": ch_ahv,
    "br_cpf": br_cpf,
    "ca_sin": ca_sin,
    "in_aadhaar": in_aadhaar,
    "se_personnummer": se_personnummer,
}
