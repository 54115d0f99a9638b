"""The invented companies hang together: numbers, places and ages are possible, and the known figures are known."""

import hashlib
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from integrations import sandbox_companies as sandbox
from integrations.sandbox_companies import ALPHANUMERIC_SINCE, AS_OF, SandboxCompany, with_check_digits

COMPANIES = sandbox.companies()
_ROOT = Path(__file__).parents[2]
# The cities' postal code areas, from the post office's list of ranges (Faixas de CEP).
_POSTAL = {
    "Campinas": ("13000", "13139"), "São Paulo": ("01000", "08499"), "Rio de Janeiro": ("20000", "23799"),
    "Belo Horizonte": ("30000", "31999"), "Curitiba": ("80000", "82999"), "Porto Alegre": ("90000", "91999"),
    "Salvador": ("40000", "42599"), "Recife": ("50000", "52999"), "Fortaleza": ("60000", "61599"),
    "Brasília": ("70000", "73699"), "Florianópolis": ("88000", "88099"), "Goiânia": ("74000", "74899"),
    "Ribeirão Preto": ("14000", "14114"), "Sorocaba": ("18000", "18109"), "Londrina": ("86000", "86109"),
    "Joinville": ("89200", "89239"),
}  # fmt: skip


def fingerprint() -> str:
    return hashlib.sha256("\n".join(map(repr, sandbox.companies())).encode()).hexdigest()


def test_there_are_enough_of_them_in_enough_places_and_kinds() -> None:
    assert len(COMPANIES) >= 2_500
    assert len({one.city for one in COMPANIES}) >= 12
    assert len({one.cnae for one in COMPANIES}) >= 12


def test_every_process_makes_the_same_ones() -> None:
    code = "from tests.integrations.test_sandbox_companies import fingerprint; print(fingerprint())"
    other = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == fingerprint()


def test_another_seed_makes_others() -> None:
    assert not {one.cnpj for one in sandbox.companies(7)} & {one.cnpj for one in COMPANIES[:200]}


def test_every_cnpj_is_its_own_and_has_right_check_digits() -> None:
    assert len({one.cnpj for one in COMPANIES}) == len(COMPANIES)
    assert all(with_check_digits(one.cnpj[:12]) == one.cnpj for one in COMPANIES)
    assert with_check_digits("12ABC34501DE") == "12ABC34501DE35"  # the tax office's own example


def test_letters_stand_in_the_cnpj_of_those_opened_since_july_2026_and_of_no_other() -> None:
    heads = [one for one in COMPANIES if one.head_office]
    assert {one.opened >= ALPHANUMERIC_SINCE for one in heads if not one.cnpj.isdigit()} == {True}
    assert {one.opened >= ALPHANUMERIC_SINCE for one in heads if one.cnpj.isdigit()} == {False}
    assert sum("alphanumeric" in one.traps for one in COMPANIES) > 30


@pytest.mark.parametrize("company", COMPANIES[::97], ids=lambda one: one.cnpj)
def test_postal_code_and_area_code_are_those_of_the_city(company: SandboxCompany) -> None:
    first, last = _POSTAL[company.city.name]
    assert first <= company.address.cep[:5] <= last
    street = sandbox.streets()[company.address.cep]
    assert (street.name, street.city) == (company.address.street, company.city)


def test_telephones_follow_the_number_plan() -> None:
    for company in COMPANIES:
        for phone in company.phones:
            rest = phone.removeprefix(str(company.city.ddd))
            assert len(rest) in (8, 9) and phone != rest
            assert rest[0] == "9" if len(rest) == 9 else rest[0] in "36789"
            if len(rest) == 8 and rest[0] in "6789":
                assert company.opened < date(2014, 1, 1)  # written down before the ninth digit came


def test_nothing_on_the_web_leads_anywhere() -> None:
    hosts = {one.website.host for one in COMPANIES if one.website} | {
        news.host for one in COMPANIES for news in one.news
    }
    mails = {one.email for one in COMPANIES if one.email}
    mails |= {one.website.email for one in COMPANIES if one.website and one.website.email}
    assert all(host.endswith(".example") for host in hosts)
    assert all(mail.endswith(".example") and mail.count("@") == 1 and " " not in mail for mail in mails)


def test_times_are_in_order() -> None:
    for company in COMPANIES:
        assert date(1975, 1, 1) <= company.opened <= company.status_since <= AS_OF
        if not company.head_office:
            continue  # partners and pages are older: its head office's
        assert all(company.opened <= partner.joined <= AS_OF for partner in company.partners)
        assert company.instagram is None or company.opened <= company.instagram.last_post <= AS_OF
        assert all(company.opened <= news.published <= AS_OF for news in company.news)


def test_nobody_is_a_mei_in_a_profession_that_may_not_be() -> None:
    mei = [one for one in COMPANIES if one.mei]
    assert {one.activity for one in mei} <= {"photo", "beauty", "restaurant", "clothing", "bakery"}
    assert {one.nature_code for one in mei} == {2135}
    assert min(one.opened for one in mei) >= date(2009, 7, 1)


def test_partners_are_masked_and_no_name_holds_a_whole_cpf() -> None:
    documents = {partner.document for one in COMPANIES for partner in one.partners}
    assert all(len(one) == 11 and one.startswith("***") and one.endswith("**") for one in documents)
    assert not any(sum(sign.isdigit() for sign in one.legal_name.split(" ", 1)[-1]) >= 11 for one in COMPANIES)


def test_every_trap_is_laid_more_than_once() -> None:
    counts = Counter(trap for one in COMPANIES for trap in one.traps)
    named = {
        "closed", "unfit", "suspended", "branch", "mei", "no_contact", "shared_phone", "same_building",
        "same_trade_name", "phone_differs", "site_parked", "site_down", "closed_on_maps", "open_on_maps_but_closed",
        "no_web", "alphanumeric",
    }  # fmt: skip
    assert set(counts) == named
    assert min(counts.values()) >= 3


def test_an_accountants_telephone_stands_for_many_clients() -> None:
    phones = Counter(one.phones[0] for one in COMPANIES if "shared_phone" in one.traps and one.phones)
    assert phones.most_common(1)[0][1] >= 5


def test_the_architects_of_campinas_are_counted() -> None:
    offices = [one for one in COMPANIES if one.cnae == 7111100 and one.city.name == "Campinas"]
    today = date(2026, 11, 20)
    fit = [one for one in offices if one.active and one.head_office and one.older_than(3, today)]
    assert (len(offices), len(fit)) == (98, 64)
    assert {one.opened for one in offices if date(2023, 11, 1) <= one.opened <= date(2023, 11, 25)} == {
        date(2023, 11, 20), date(2023, 11, 21),
    }  # fmt: skip
    assert sum(not one.head_office for one in offices) == 5


def test_a_branch_shares_root_name_and_site_with_its_head_office() -> None:
    known = sandbox.by_cnpj()
    branches = [one for one in COMPANIES if one.parent]
    assert len(branches) > 50
    for branch in branches:
        head = known[str(branch.parent)]
        assert (branch.cnpj[:8], branch.legal_name, branch.website) == (head.cnpj[:8], head.legal_name, head.website)
        assert branch.cnpj[8:12] != "0001" and branch.opened >= head.opened


def test_a_host_is_one_companys() -> None:
    sites = [one for one in COMPANIES if one.website and not one.parent]
    assert len(sandbox.by_host()) == len(sites) > 1_000
