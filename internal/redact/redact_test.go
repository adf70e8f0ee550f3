package redact_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/kubernaut/kubernaut/internal/redact"
)

// Assembled here so that scanners of repositories do not take them for real ones.
var (
	awsKey    = "AKIA" + "IOSFODNN7EXAMPLE"
	githubKey = "ghp" + "_16C7e42F292c6912E7710c838347Ae178B4a"
	slackKey  = "xoxb" + "-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy"
	jwt       = "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiJzaG9wIn0" + ".c2lnbmF0dXJlLW9mLXNob3A"
	pem       = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA1\nqrs/tu=\n-----END RSA PRIVATE KEY-----"
)

func TestTextTakesSecretsOut(t *testing.T) {
	const secret = "hunter2"
	rows := map[string]struct{ in, want string }{
		"a field of a log line":                   {`login password=hunter2 user=shop`, `login password=[redacted] user=shop`},
		"a quoted field, spaces included":         {`password: "hunter2 hunter2", user`, `password: [redacted], user`},
		"a quoted field without an end":           {`password: "hunter2`, `password: [redacted]`},
		"JSON":                                    {`{"db":{"password":"hunter2","host":"db"}}`, `{"db":{"password":[redacted],"host":"db"}}`},
		"JSON within JSON":                        {`{"log":"{\"token\":\"hunter2\"}"}`, `{"log":"{\"token\":[redacted]}"}`},
		"a name with a prefix and a suffix":       {`DB_PASSWORD_2=hunter2`, `DB_PASSWORD_2=[redacted]`},
		"an environment variable of a pod":        {`{"name":"DB_PASSWORD","value":"hunter2"}`, `{"name":"DB_PASSWORD","value":[redacted]}`},
		"an environment variable in YAML":         {"- name: DB_PASSWORD\n  value: hunter2", "- name: DB_PASSWORD\n  value: [redacted]"},
		"a flag":                                  {`exec: server --db-password hunter2 --port 80`, `exec: server --db-password [redacted] --port 80`},
		"a flag in a list of arguments":           {`["--api-token","hunter2"]`, `["--api-token",[redacted]]`},
		"a header":                                {`Authorization: Bearer hunter2`, `Authorization: [redacted]`},
		"a header of a scheme nobody knows":       {`Authorization: Scheme9 hunter2 next`, `Authorization: [redacted] next`},
		"a bearer token without a header":         {`sent bearer hunter2 to db`, `sent bearer [redacted] to db`},
		"a cookie":                                {`Set-Cookie: sid=hunter2; Path=/`, `Set-Cookie: [redacted]`},
		"a URL with a password":                   {`dial postgres://shop:hunter2@db:5432/shop`, `dial postgres://[redacted]@db:5432/shop`},
		"a password with a slash and an at sign":  {`dial amqp://shop:hun/hunter2@x@db:5672`, `dial amqp://[redacted]@db:5672`},
		"a URL with a password only":              {`redis://:hunter2@cache:6379/0`, `redis://[redacted]@cache:6379/0`},
		"a DSN of MySQL":                          {`shop:hunter2@tcp(db:3306)/shop`, `[redacted]@tcp(db:3306)/shop`},
		"a connection string":                     {`Server=db;User Id=shop;Password=hunter2;Encrypt=true`, `Server=db;User Id=shop;Password=[redacted];Encrypt=true`},
		"a storage account":                       {`AccountName=shop;AccountKey=hunter2==;`, `AccountName=shop;AccountKey=[redacted];`},
		"a signed URL":                            {`GET https://s3/x?X-Amz-Signature=hunter2&part=1`, `GET https://s3/x?X-Amz-Signature=[redacted]&part=1`},
		"a shared access signature":               {`https://blob/x?sv=2024&sig=hunter2`, `https://blob/x?sv=2024&sig=[redacted]`},
		"SQL":                                     {`CREATE USER shop IDENTIFIED BY 'hunter2'`, `CREATE USER shop IDENTIFIED BY [redacted]`},
		"a secret behind an invisible character":  {"pass\u200bword=hunter2", `password=[redacted]`},
		"a secret behind a colour":                {"\x1b[31mpassword\x1b[0m=hunter2", `password=[redacted]`},
		"a field whose equals sign stands apart":  {`token = hunter2`, `token = [redacted]`},
		"a field in backquotes":                   {"secret: `hunter2`", "secret: [redacted]"},
		"two secrets in one line":                 {`password=hunter2,token=hunter2`, `password=[redacted],token=[redacted]`},
		"what was redacted before stays as it is": {`password=[redacted] x`, `password=[redacted] x`},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got := redact.Text(row.in)
			if got != row.want {
				t.Errorf("Text(%q)\n got %q\nwant %q", row.in, got, row.want)
			}
			if strings.Contains(got, secret) {
				t.Errorf("the secret is still in %q", got)
			}
		})
	}
}

func TestTextKnowsSecretsByTheirShape(t *testing.T) {
	rows := map[string]string{
		"an AWS key":                       awsKey,
		"a GitHub token":                   githubKey,
		"a Slack token":                    slackKey,
		"a JSON web token":                 jwt,
		"a private key":                    pem,
		"a private key without its end":    pem[:50],
		"a private key in JSON":            strings.ReplaceAll(pem, "\n", `\n`),
		"a bcrypt hash":                    "$2b$12$" + "R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
		"a bootstrap token":                "07401b." + "f395accd246ae52d",
		"a token of OpenShift":             "sha256~" + "sdfGHJ34567sdfghjSDFGHJ34567sdfghjk56789sdf",
		"a token of lower case":            "sk-" + "0123456789abcdef0123456789abcdef",
		"a long run of letters and digits": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYabcd12",
	}
	for name, secret := range rows {
		t.Run(name, func(t *testing.T) {
			got := redact.Text("before " + secret + " after")
			if !strings.HasPrefix(got, "before "+redact.Marker) {
				t.Errorf("Text left %q", got)
			}
		})
	}
}

func TestTextLeavesWhatPeopleNeedToRead(t *testing.T) {
	rows := map[string]string{
		"a missing Secret":                  `Error: secret "db-credentials" not found`,
		"a missing key":                     `couldn't find key password in Secret shop/db-credentials`,
		"the name of a Secret":              `secretName: db-credentials`,
		"a path to a token":                 `open tokenFile=/var/run/token: no such file`,
		"a refused login":                   `FATAL: password authentication failed for user "shop"`,
		"a scheme that was refused":         `basic authentication is not supported`,
		"an image by digest":                `shop@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`,
		"the name of a pod":                 `pod shop-7d4b9c6f5d-x2x8q in namespace shop-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`,
		"a pod that is called like a token": `pod xapp-frontend-7d4b9c6f5d-x2x8q, pod sk-payments-production-0`,
		"a uid":                             `uid 5a8f2d0e-7a9c-4b8e-9d59-2d7f8a4e1c33`,
		"a URL without a user":              `Get "http://shop.shop.svc:8080/healthz": dial tcp 10.0.0.1:8080: connect: connection refused`,
		"a stack trace":                     "panic: nil map\n\tmain.go:42 +0x1d",
		"other alphabets":                   `Überlast, 过载`,
	}
	for name, text := range rows {
		t.Run(name, func(t *testing.T) {
			if got := redact.Text(text); got != text {
				t.Errorf("Text(%q) = %q", text, got)
			}
		})
	}
}

func TestTextTakesTerminalTricksOut(t *testing.T) {
	rows := map[string]struct{ in, want string }{
		"colours":                            {"\x1b[1;31mred\x1b[0m", "red"},
		"a title":                            {"\x1b]0;owned\x07text", "text"},
		"a title without an end":             {"\x1b]0;owned\ntext", "\ntext"},
		"a link":                             {"\x1b]8;;http://x\x1b\\here\x1b]8;;\x1b\\", "here"},
		"a control sequence in one rune":     {"\u009b2Jtext", "text"},
		"backspaces":                         {"safe\b\b\b\bevil", "safeevil"},
		"a lone carriage return":             {"safe\revil", "safe\nevil"},
		"text that is turned round":          {"a\u202eb", "ab"},
		"a separator of lines":               {"a\u2028b", "a\nb"},
		"a space that is none":               {"a\u00a0b", "a b"},
		"what is no UTF-8":                   {"a\xffb", "a\uFFFDb"},
		"what is no character yet":           {"a\u07b4b\ue000c", "a\uFFFDb\uFFFDc"},
		"newlines and tabs are left to Text": {"a\n\tb", "a\n\tb"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := redact.Text(row.in); got != row.want {
				t.Errorf("Text(%q) = %q, want %q", row.in, got, row.want)
			}
		})
	}
}

func TestLineIsOneShortLine(t *testing.T) {
	if got := redact.Line("a\n\tb  c\x1b[2J", 100); got != "a b c" {
		t.Errorf("got %q", got)
	}
	if got := redact.Line(strings.Repeat("ä", 100), 40); len(got) > 40 || !strings.HasSuffix(got, redact.CutMark) || !utf8.ValidString(got) {
		t.Errorf("got %q of %d bytes", got, len(got))
	}
}

func TestCutNeverGrowsAndNeverSplitsACharacter(t *testing.T) {
	for limit := range 20 {
		got := redact.Cut("ääääääääääääää", limit)
		if len(got) > limit || !utf8.ValidString(got) {
			t.Errorf("Cut to %d gave %q of %d bytes", limit, got, len(got))
		}
	}
}

func TestFieldJudgesByTheName(t *testing.T) {
	rows := map[string]struct{ name, value, want string }{
		"a name that says secret":         {"db_password", "hunter2", redact.Marker},
		"a name that only tells about it": {"secret_name", "db-credentials", "db-credentials"},
		"any other name":                  {"pod", "shop-1", "shop-1"},
		"a secret under any other name":   {"summary", "token=hunter2", "token=[redacted]"},
		"nothing to hide":                 {"password", "", ""},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := redact.Field(row.name, row.value); got != row.want {
				t.Errorf("Field(%q, %q) = %q, want %q", row.name, row.value, got, row.want)
			}
		})
	}
}

// FuzzText: whatever stands in other lines, a planted secret goes, and what
// comes back can be printed.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"", `token="`, "Authorization:", "-----BEGIN X-----", "\x1b]0;", "\xff\xfe", `{"name":"A_TOKEN",`, "postgres://a:", "--password"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, around string) {
		const secret = "Tr0ub4dor&3"
		if strings.Contains(around, secret) {
			return
		}
		got := redact.Text(around + "\n" + `password="` + secret + `"` + "\n" + around)
		if strings.Contains(got, secret) {
			t.Errorf("the secret is still in %q", got)
		}
		if !utf8.ValidString(got) {
			t.Errorf("%q is not UTF-8", got)
		}
		if at := strings.IndexFunc(got, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }); at >= 0 {
			t.Errorf("a control character is left at %d of %q", at, got)
		}
	})
}

func TestHarmlessKeepsWhatWeSayAboutTokens(t *testing.T) {
	const says = "no token: send Authorization: Bearer with one"
	if got := redact.Harmless("\x1b[2J"+says+"\u202e\n", 100); got != says {
		t.Errorf("got %q, want %q", got, says)
	}
	if got := redact.Harmless(says, 12); got != "no t…[cut]" {
		t.Errorf("got %q", got)
	}
}
