"""Public forms of URLs contain no user name, password or query."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamrun.core.urls import http_url_fault, public_url

SECRET = "s3cr3tPASSW0RD"
_FORMS = [
    "http://svc:{}@gw/v1",
    "htps://svc:{}@gw/v1",
    "svc:{}@gw/v1",
    "//svc:{}@gw/v1",
    "http://{}@gw",
    "http://svc:a/{}@gw/v1",
    "http://svc:a?{}@gw/v1",
    "http://svc:a#{}@gw/v1",
    "http://svc:{}?@gw",
    "http://gw/v1?key={}",
    "http://gw/v1#{}",
    "http://gw/v1?a=@{}",
    " http://svc:x://{}@gw/v1",
    "http:svc:{}@gw/v1",
]


@pytest.mark.parametrize("form", _FORMS)
def test_a_url_is_shown_without_its_secrets(form: str) -> None:
    assert SECRET not in public_url(form.format(SECRET))


@pytest.mark.parametrize("form", _FORMS)
def test_a_fault_of_a_url_repeats_no_part_of_it(form: str) -> None:
    assert SECRET not in (http_url_fault(form.format(SECRET)) or "")


@given(password=st.text(min_size=1), scheme=st.sampled_from(["http://", "htps://", "", "a b://"]))
def test_whatever_a_password_is_it_is_not_shown(password: str, scheme: str) -> None:
    marked = f"{SECRET}{password}{SECRET}"
    assert SECRET not in public_url(f"{scheme}user:{marked}@host/v1")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://api.example.com/v1", "https://api.example.com/v1"),
        ("http://u:p@127.0.0.1:9/v1?x=1", "http://127.0.0.1:9/v1"),
        ("gw/v1", "gw/v1"),
        ("", ""),
    ],
)
def test_host_port_and_path_are_shown(url: str, shown: str) -> None:
    assert public_url(url) == shown


@pytest.mark.parametrize("url", ["https://h", "HTTP://u:p@h:1/v1", "http://[::1]:8000/v1 "])
def test_an_address_of_a_server_has_no_fault(url: str) -> None:
    assert http_url_fault(url) is None


@pytest.mark.parametrize(
    "url", ["h/v1", "htps://h", "ftp://h", "http://", "http://h:99999", "http://a b", "http://[::1"]
)
def test_another_text_has_one(url: str) -> None:
    assert re.match("must begin|is malformed", http_url_fault(url) or "")
