from __future__ import annotations

import random

import pytest

from metaqore.security import detect_numbers as numbers

VALID = [
    (numbers.payment_card, "4111 1111 1111 1111"),
    (numbers.payment_card, "3782-822463-10005"),
    (numbers.payment_card, "6011000990139424"),
    (numbers.iban, "DE89 3704 0044 0532 0130 00"),
    (numbers.iban, "GB82WEST12345698765432"),
    (numbers.us_ssn, "536-22-8145"),
    (numbers.uk_nhs, "943 476 5919"),
    (numbers.uk_nino, "AB 12 34 56 C"),
    (numbers.pl_pesel, "44051401359"),
    (numbers.fr_nir, "2 55 08 14 168 025 38"),
    (numbers.de_tax_id, "86095742719"),
    (numbers.es_dni, "12345678Z"),
    (numbers.es_dni, "X1234567L"),
    (numbers.it_codice_fiscale, "RSSMRA85T10A562S"),
    (numbers.nl_bsn, "111222333"),
    (numbers.be_national, "85.07.30-033.28"),
    (numbers.ch_ahv, "756.9217.0769.85"),
    (numbers.br_cpf, "529.982.247-25"),
    (numbers.ca_sin, "130 692 544"),
    (numbers.in_aadhaar, "2363 4567 8904"),
    (numbers.se_personnummer, "811228-9874"),
]


@pytest.mark.parametrize(("check", "number"), VALID, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_number_that_its_issuer_could_give_is_accepted(check, number):
    assert check(number)


@pytest.mark.parametrize(("check", "number"), VALID, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_number_with_another_last_digit_is_refused(check, number):
    last = number[-1]
    others = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if last.isalpha() else "0123456789"
    # A social security number has no check digit, and a NINO's letter is one of four: neither can be told.
    if check in (numbers.us_ssn, numbers.uk_nino):
        pytest.skip("this number has no check digit")
    accepted = [other for other in others if check(number[:-1] + other)]

    assert accepted == [last]


@pytest.mark.parametrize(
    "number", ["000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000", "078-05-1120"]
)
def test_social_security_numbers_that_were_never_issued_are_refused(number):
    assert not numbers.us_ssn(number)


@pytest.mark.parametrize("number", ["GB123456A", "BG123456A", "DA123456A", "AO123456A", "AB123456E"])
def test_national_insurance_prefixes_and_suffixes_that_do_not_exist_are_refused(number):
    assert not numbers.uk_nino(number)


def test_one_random_sixteen_digit_number_in_forty_looks_like_a_card():
    random_numbers = random.Random(1)
    hits = sum(numbers.payment_card(str(random_numbers.randrange(10**15, 10**16))) for _ in range(4000))

    assert 40 < hits < 200


def test_an_iban_of_the_wrong_length_for_its_country_is_refused():
    assert not numbers.iban("DE8937040044053201300")
    assert not numbers.iban("ZZ89370400440532013000")
