"""Prints shell variables with the way to this user's session daemon, for `eval`. The key is good for a while: ask again later."""
import os
import shlex
import tempfile

from weft_bus import local_access, place_of, token

access = local_access()
directory = tempfile.mkdtemp(prefix="weft-bus-")
ca, creds = os.path.join(directory, "ca.pem"), os.path.join(directory, "user.creds")
for path, text in (
    (ca, access["ca"]),
    (creds, f"-----BEGIN NATS USER JWT-----\n{access['jwt']}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{access['seed']}\n------END USER NKEY SEED------\n"),
):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
place = place_of(access)
for name, value in (
    ("URL", access["urls"][0]),
    ("CA", ca),
    ("CREDS", creds),
    ("INBOX", access["inboxPrefix"]),
    ("COMMANDS", f"{place}.cmd.local.{token(access['who'])}"),
    ("EVENTS", f"{place}.evt.{token(access['who'])}"),
):
    print(f"WEFT_{name}={shlex.quote(value)}")
