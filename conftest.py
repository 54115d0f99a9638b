"""Rules for every run of the suite: no provider is called, and in CI nothing may be skipped."""

import os

import pytest


def pytest_configure() -> None:
    # A key that lies in the shell must not make a test talk to a provider and pay for it.
    os.environ["MUTIRAO_IGNORE_PROVIDER_KEYS"] = "1"


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int):  # type: ignore[no-untyped-def]
    result = yield
    if os.environ.get("CI") != "true":
        return result
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line("")
        reporter.write_line("In CI no test may be skipped: what is skipped there is tested nowhere.", red=True)
    return result
