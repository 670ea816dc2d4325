"""The types of findings that there are: what a rule may ask for, and nothing else. A test holds it to the detectors."""

from __future__ import annotations

from metaqore.security.detect_numbers import NATIONAL_NUMBERS

SECRETS = frozenset(
    "age_key api_key aws_access_key azure_storage_key basic_auth bearer_token channel_webhook connection_string "
    "credential databricks_token "
    "digitalocean_token discord_token github_token gitlab_token google_api_key google_oauth huggingface_token jwt "
    "mailchimp_key mailgun_key metaqore_key npm_token openai_key opaque_secret password password_hash pin private_key "
    "pypi_token seed_phrase sendgrid_key session_cookie shared_access_signature terraform_token vendor_token "
    "shopify_token slack_token slack_webhook stripe_key telegram_token twilio_key vault_token webhook_secret".split()
)
PERSONAL = frozenset(
    "address date_of_birth email es_dni health iban identity_document ip_address it_codice_fiscale payment_card phone "
    "salary uk_nino us_ssn".split()
)
OTHERS = frozenset({"internal_material", "unjudged"})
FINDING_TYPES = SECRETS | PERSONAL | OTHERS | frozenset(NATIONAL_NUMBERS)
