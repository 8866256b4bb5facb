"nbdev_test on two workers, then one line that counts. Options are those of nbdev_test."

import re
import subprocess
import sys

cmd = ["nbdev_test", "--n_workers", "2", "--do_print", "--timing", *sys.argv[1:]]
out = ""
with subprocess.Popen(
    cmd,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    encoding="utf-8",
    errors="replace",
) as p:
    for line in p.stdout:
        print(line, end="", flush=True)
        out += line
done = out.count("- Completed ")
failed = len(re.findall(r"^\t.+", out.partition("nbdev Tests Failed")[2], flags=re.MULTILINE))
ok = p.returncode == 0 and done > 0
print(
    f"{done - failed} passed, {failed} failed"
    if ok or failed
    else "the tests did not run to their end"
)
sys.exit(not ok)
