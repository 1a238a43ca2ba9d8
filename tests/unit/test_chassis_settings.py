"""Settings: everything that is wrong is said at once, and no value is shown."""

from pathlib import Path

import pytest

from services.chassis.settings import ServiceSettings, load


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    (tmp_path / "jwks.json").touch()
    (tmp_path / "service.token").touch()
    for name in ("REDIS_URL", "OTEL_EXPORTER_OTLP_ENDPOINT", "TOUCHSTONE_LISTEN", "TOUCHSTONE_LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TOUCHSTONE_JWKS_FILE", str(tmp_path / "jwks.json"))
    monkeypatch.setenv("TOUCHSTONE_SERVICE_TOKEN_FILE", str(tmp_path / "service.token"))
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:s3cret@localhost/shop")
    return monkeypatch


def test_what_is_not_said_has_a_default(environment):
    environment.setenv("REDIS_URL", "")
    settings = load(ServiceSettings)
    assert (settings.listen, settings.redis_url, settings.otlp_endpoint) == ("127.0.0.1:0", None, None)
    assert settings.signing_key_file is None


def test_everything_wrong_is_said_at_once_without_values(environment, capsys):
    environment.setenv("DATABASE_URL", "mysql://user:s3cret@localhost/shop")
    environment.setenv("TOUCHSTONE_LISTEN", "nowhere")
    environment.delenv("TOUCHSTONE_JWKS_FILE")
    environment.setenv("TOUCHSTONE_SERVICE_TOKEN_FILE", "/nowhere/service.token")
    with pytest.raises(SystemExit) as ended:
        load(ServiceSettings)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    for name in ("DATABASE_URL", "TOUCHSTONE_LISTEN", "TOUCHSTONE_JWKS_FILE", "TOUCHSTONE_SERVICE_TOKEN_FILE"):
        assert f"{name}: " in told
    assert "s3cret" not in told
