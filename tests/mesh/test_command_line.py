"""The command line against a running system: its answers, and what it says when something is missing."""

import base64
import hmac
import json
import subprocess
import sys
from pathlib import Path

import jwt

from tests.mesh.running import RunningSystem
from tests.mesh.shop import RECORDED, RECORDED_PREFIX, RECORDED_SECRET, Shop


def test_a_tenant_a_source_and_a_token_in_three_commands(mesh: RunningSystem) -> None:
    created = mesh.touchstone("tenant", "create", "three", "--currency", "EUR", "--time-zone", "Europe/Madrid")
    again = mesh.touchstone("tenant", "create", "three", "--currency", "EUR", "--time-zone", "Europe/Madrid")
    assert created.stdout == again.stdout == "tenant three: EUR, days of Europe/Madrid\n"
    added = mesh.touchstone("source", "add", "three", "woo", "--kind", "woocommerce", "--secret", "S3CRET")
    assert added.stdout == f"http://127.0.0.1:{mesh.port}/webhooks/three/woo\n"
    token = mesh.touchstone("token", "three", "--scopes", "reports:read").stdout
    assert token.count("\n") == 1
    assert jwt.decode(token.strip(), options={"verify_signature": False})["exp"] > 0
    answer = mesh.client.get("/v1/settings", headers={"Authorization": f"Bearer {token.strip()}"})
    assert answer.json()["settings"]["timeZone"] == "Europe/Madrid"


def test_replay_counts_answers_by_status(mesh: RunningSystem, shop: Shop) -> None:
    mesh.touchstone(
        *("source", "add", shop.tenant, "woo", "--kind", "woocommerce"),
        *("--secret", RECORDED_SECRET, "--id-prefix", RECORDED_PREFIX),
    )
    files = [str(path) for path in sorted(RECORDED.glob("*.json"))[:25]]
    done = mesh.touchstone("replay", *files, "--tenant", shop.tenant, "--source", "woo")
    assert done.stdout == "200: 25\n"


def test_replay_says_what_is_missing(mesh: RunningSystem, shop: Shop, tmp_path: Path) -> None:
    file = str(sorted(RECORDED.glob("*.json"))[20])
    unknown = mesh.touchstone("replay", file, "--tenant", shop.tenant, "--source", "nowhere", check=False)
    assert unknown.returncode == 1
    assert f"touchstone source add {shop.tenant} nowhere" in unknown.stderr
    mesh.touchstone("source", "add", shop.tenant, "other", "--kind", "woocommerce", "--secret", "another")
    unsigned = mesh.touchstone("replay", file, "--tenant", shop.tenant, "--source", "other", check=False)
    assert unsigned.returncode == 1
    assert unsigned.stdout == "401: 1\n"
    assert "signature" in unsigned.stderr
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    assert "is no captured delivery" in mesh.touchstone(
        "replay", str(broken), "--tenant", shop.tenant, "--source", "other", check=False
    ).stderr  # fmt: skip
    assert mesh.touchstone("replay", file, "--source", "other", check=False).returncode == 2


def test_an_unknown_tenant_is_named(mesh: RunningSystem) -> None:
    done = mesh.touchstone("source", "add", "nobody", "woo", "--kind", "shopify", "--secret", "s", check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "TENANT_NOT_FOUND" in done.stderr
    assert "touchstone tenant create" in done.stderr
    checked = mesh.touchstone("verify", "nobody", check=False)
    assert checked.returncode == 1
    assert "TENANT_NOT_FOUND" in checked.stderr


def test_a_system_that_does_not_run_is_said_to_be_down(mesh: RunningSystem) -> None:
    command = [str(Path(sys.executable).with_name("touchstone")), "token", "acme"]
    environment = {**mesh.environment, "TOUCHSTONE_PORT": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: nothing answers at 127.0.0.1:1: run `make up`")


def test_parked_deliveries_are_listed_shown_and_read_again(mesh: RunningSystem, shop: Shop) -> None:
    mesh.touchstone("source", "add", shop.tenant, "web", "--kind", "shopify", "--secret", "S3CRET")
    body = b'{"id": 1, "line_items"'
    signature = base64.b64encode(hmac.digest(b"S3CRET", body, "sha256")).decode()
    answer = shop.deliver("web", [("X-Shopify-Topic", "orders/paid"), ("X-Shopify-Hmac-SHA256", signature)], body)
    assert answer.status_code == 200
    listed = mesh.touchstone("parked", "list", shop.tenant).stdout
    assert "INVALID_JSON" in listed
    parked_id = listed.splitlines()[1].split()[0]
    shown = json.loads(mesh.touchstone("parked", "show", shop.tenant, parked_id).stdout)
    assert base64.b64decode(shown["body_b64"]) == body
    replayed = mesh.touchstone("parked", "replay", shop.tenant)
    assert replayed.stdout == "0 read with success, 1 still parked\n"
