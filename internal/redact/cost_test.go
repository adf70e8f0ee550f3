package redact_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kubernaut/kubernaut/internal/redact"
)

// texts for the cost of a kilobyte: logs as they are, and logs full of what rules begin with.
func logOf(line string, size int) string {
	return strings.Repeat(line+"\n", size/(len(line)+1)+1)[:size]
}

var logs = map[string]string{
	"plain":   `2024-05-01T10:00:00Z INFO com.acme.Cart handled GET /cart/42 in 12ms for user bob from 10.0.0.1`,
	"fields":  `level=info ts=1714557600 caller=main.go:42 msg="request done" method=GET path=/cart status=200 took=12ms key=cart:42`,
	"JSON":    `{"level":"info","ts":1714557600,"msg":"token refreshed","user":"bob","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","took":0.012}`,
	"secrets": `connect db=shop user=app password=Wq7zLm2Vt9 url=postgres://app:Wq7zLm2Vt9@db:5432/shop token: Wq7zLm2Vt9`,
}

func BenchmarkText(b *testing.B) {
	for name, line := range logs {
		text := logOf(line, 64<<10)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				redact.Text(text)
			}
		})
	}
}

// beginnings of secrets. A text may be made of nothing else.
var beginnings = []string{
	"key=", "password ", `password="`, "token: ", "a:", "://a:", "<a>", "mysql -p ", "curl -u ", "password,", `\"token\":\"`, "%3D", "key%3D", "eyJ", "auth (", "-----BEGIN A-----",
	"name: password value", "identified by ", "secret is is is is ", "A1b", "A1b2c3/", "/hooks/", "password....", "{password,", "echo a | ", "x:x@", "create user password ", "kind: Secret data:\n", "password:\n", "password: |\n ",
	"mysql ", "mysql -p'", "334\nauth ", "auth 334\n", `loginmodule user_a="`, "user x on >", "set password for ", "sha256-", "sha512-aB1", `"AUTH" "`, "options (password ", "a: Invalid value: ", `invalid value "`, "a1 LOGIN ", "password for user ", "seed phrase ", "passphrase: a, ", "a/b.c/token: ", "grant to identified by ",
	`password = "a" -> `, "otp: code=", "failed to get the password: ", "random_password {result ", "random_password ", "otp ", "routing_key ", "pass from ", "password" + strings.Repeat(" ", 60) + "=", "--from-file=key=", "password changed from ", "routing_key=", "a/b@//", `password "Ab.c" `, "token: Option<",
}

func TestHostileTextGrowsLittle(t *testing.T) {
	for _, unit := range beginnings {
		text := strings.Repeat(unit, redact.MaxText/16/len(unit))
		if got := redact.Text(text); len(got) > 4*len(text) {
			t.Errorf("a text of %q grew from %d to %d bytes", unit, len(text), len(got))
		}
	}
}

// BenchmarkHostileText: each text of the largest size on one line, and how much more a
// byte of it costs than one of a text that is an eighth as long: 1 is linear.
func BenchmarkHostileText(b *testing.B) {
	perByte := func(text string) float64 {
		start := time.Now()
		redact.Text(text)
		return float64(time.Since(start)) / float64(len(text))
	}
	for _, unit := range beginnings {
		b.Run(unit, func(b *testing.B) {
			short, long := strings.Repeat(unit, redact.MaxText/8/len(unit)), strings.Repeat(unit, redact.MaxText/len(unit))
			b.SetBytes(int64(len(short) + len(long)))
			var base, whole float64
			for b.Loop() {
				base += perByte(short)
				whole += perByte(long)
			}
			b.ReportMetric(whole/base, "x/byte")
			if whole > 4*base {
				b.Errorf("a byte of a long text costs %.1f times as much as one of a short text", whole/base)
			}
		})
	}
}

// FuzzTwice: what was redacted stays as it is, and the text grows by no more than
// the markers that take the place of shorter secrets.
func FuzzTwice(f *testing.F) {
	for _, seed := range []string{"", "password=x", `a="b\"c`, "token: [x]", "Authorization: Bearer x", `{"name":"PW","value":"x"}`, "a:b@c", "secret:\n  - x", "PW={x};", `token:/$gtoken:???0"0`, "token=/aaaaaaaaaaaaaaaaaaa:password=b9/c", "kind: Secret\ndata:\n a: b", "xA-PW =S", "a :PW000v:0PW:B !", "C nAme :0PW0p0vAlue :0PW0:'B", "token2 AAAhAAtoken: Aen: AE\u00b1+", `a_pw = "b" -> "c"`, "failed to get token: x:", "password \"A.bcdef\"", "random_password {\nresult = x\n}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once := redact.Text(text)
		if twice := redact.Text(once); twice != once {
			t.Errorf("%q\nbecomes %q\nand then %q", text, once, twice)
		}
		if len(once) > (len(text)+1)*len(redact.Marker) {
			t.Errorf("%q grew to %d bytes", text, len(once))
		}
	})
}
