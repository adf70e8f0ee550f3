"""A shop small enough to break: serves HTTP on 8080, and takes its orders from its arguments.

--release NAME   what / answers; 2.0.0 needs PAYMENT_URL and ends without it
/fill?mb=N       keeps N MiB until the next start
/crash           ends the process, and the next start too
"""
import argparse, http.server, os, pathlib, sys, time, urllib.parse

args = argparse.ArgumentParser()
args.add_argument("--release", default="1.0.0")
release = args.parse_args().release
crashes = pathlib.Path("/state/crashes")  # survives a restart of the container, not of the pod
kept = []

if release == "2.0.0" and "PAYMENT_URL" not in os.environ:
    print(f"starting release {release}", flush=True)
    time.sleep(1)
    sys.exit("error: configuration: PAYMENT_URL is not set")

if crashes.exists() and int(crashes.read_text()) > 0:
    crashes.write_text(str(int(crashes.read_text()) - 1))
    time.sleep(1)
    sys.exit("error: the ledger is locked by another process")


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        if url.path == "/fill":
            mb = int(urllib.parse.parse_qs(url.query)["mb"][0])
            while len(kept) < mb:
                kept.append(bytearray(os.urandom(1024) * 1024))
        if url.path == "/crash":
            crashes.write_text("1")
            print("error: the ledger is locked by another process", flush=True)
            os._exit(1)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"shop {release}, {len(kept)} MiB kept\n".encode())

    def log_message(self, *_):
        pass


print(f"release {release} listens", flush=True)
print("error: retrying the mail relay: connection refused (this line means nothing)", flush=True)
http.server.ThreadingHTTPServer(("", 8080), Shop).serve_forever()
