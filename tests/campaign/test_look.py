"""To look at a campaign is done often, beside one that is carried out: it must cost little."""

import subprocess
import sys
from pathlib import Path

LIST_MODULES = """
import sys
from keyswitch.cli.main import main
try:
    main(["campaign", "status", sys.argv[1]])
except SystemExit as end:
    assert end.code == 3, end.code
print("\\n".join(sys.modules), file=sys.stderr)
"""


def test_status_loads_no_engine_no_loop_no_radio_and_no_update(tmp_path: Path):
    file = tmp_path / "tray.toml"
    file.write_text('[campaign]\nname = "t"\n[release]\nimage = "x"\n[[device]]\nid = "P"\ntarget = "udp:h"\n')
    command = [sys.executable, "-c", LIST_MODULES, str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout == "wave 1  P  not begun\nt: not begun: 1 without an outcome\n"
    loaded = set(ran.stderr.split())
    assert "keyswitch.campaign.look" in loaded
    heavy = {"asyncio", "dbos", "sqlalchemy", "psycopg", "cbor2", "cryptography", "rich", "click.testing"}
    ours = {f"keyswitch.{name}" for name in ("link", "smp", "app.update", "host.update.run", "campaign.dbos_engine")}
    assert not loaded & (heavy | ours)
