package redact_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kubernaut/kubernaut/internal/redact"
)

// argument lists, one word after another with a | between; @@ is the secret.
var secretWords = []string{
	`mysql|-uroot|-p@@|-h|db`, `/usr/bin/mysqldump|-u|root|-p@@|shop`, `redis-cli|-h|cache|-a|@@|ping`, `curl|-u|admin:@@|https://x`, `curl|--user|admin:@@|https://x`, `curl|-uadmin:@@`,
	`curl|--user=admin:@@`, `--db-pass|@@`, `-db-pass|@@`, `--db-pass=@@`, `server|--api-token|@@|--port|80`, `sh|-c|mysql -uroot -p@@ -e 'select 1'`, `bash|-ec|exec server --db-pass @@`,
	`sh|-c|redis-cli -a @@ ping \| grep PONG`, `sh|-c|PGPASSWORD=@@ psql`, `env|PGPASSWORD=@@|psql`, `sshpass|-p|@@|ssh|host`, `ldapsearch|-D|cn=a|-w|@@`, `sqlcmd|-U|sa|-P|@@`,
	`snmpget|-A|one|-X|@@`, `keytool|-storepass|changeit|-keypass|@@`, `docker|login|-u|app|-p|@@|registry`, `rabbitmqctl|add_user|app|@@`, `curl|-H|Authorization: Bearer @@|https://x`,
	`etcdctl|--user|root:@@|get|x`, `server|postgres://app:@@@db/shop`, `smbclient|//x|-U|app%@@`, `mongodump|-u|app|-p|@@`, `mosquitto_pub|-P|@@`, `redis-server|--requirepass|@@`,
	`mysql|` + strings.Repeat("--some-flag=some-value|", 30) + `-p@@`,
}

func TestArgsTakeSecretsOut(t *testing.T) {
	for _, secret := range []string{"Wq7zLm2Vt9", "hunter2x", "n0t-S0-s3cret!", "a b;c|d'e\"f", "öl&1>2)", "x,y}z7"} {
		for _, line := range secretWords {
			if strings.Contains(line, " ") && strings.ContainsAny(secret, ` ;|'"&,`) || strings.Contains(line, "://app") && strings.ContainsAny(secret, ` ;'"|>`) || strings.Contains(line, "=@@") && strings.ContainsAny(secret, ` "`) {
				continue // what a shell or a URL would read differently
			}
			words := split(line, secret)
			got := redact.Args(words)
			if all := strings.Join(got, "\x00"); strings.Contains(all, secret) || strings.Contains(all, secret[len(secret)-3:]) {
				t.Errorf("Args(%q) leaves %q", words, got)
			}
			if len(got) != len(words) {
				t.Errorf("Args(%q) returns %d words: %q", words, len(got), got)
			}
		}
	}
}

func split(line, secret string) []string {
	words := strings.Split(strings.ReplaceAll(line, `\|`, "\x00"), "|")
	for i, word := range words {
		words[i] = strings.ReplaceAll(strings.ReplaceAll(word, "\x00", "|"), "@@", secret)
	}
	return words
}

func TestArgsKeepTheOtherWords(t *testing.T) {
	rows := map[string]struct{ words, want []string }{
		"a password joined to its flag":   {[]string{"mysql", "-pone two", "-h", "db"}, []string{"mysql", "-p[redacted]", "-h", "db"}},
		"a word of its own":               {[]string{"redis-cli", "-a", "one", "ping"}, []string{"redis-cli", "-a", "[redacted]", "ping"}},
		"two secrets":                     {[]string{"snmpget", "-A", "one", "-X", "two", "host"}, []string{"snmpget", "-A", "[redacted]", "-X", "[redacted]", "host"}},
		"a flag of another program":       {[]string{"server", "-p", "8080", "-a", "web2x9"}, []string{"server", "-p", "8080", "-a", "web2x9"}},
		"a port of a client":              {[]string{"redis-cli", "-p", "6379", "ping"}, []string{"redis-cli", "-p", "6379", "ping"}},
		"a user without a password":       {[]string{"curl", "-u", "root", "https://x"}, []string{"curl", "-u", "root", "https://x"}},
		"a reference to a variable":       {[]string{"mysql", "-p$(DB_PASSWORD)"}, []string{"mysql", "-p$(DB_PASSWORD)"}},
		"a name of a file":                {[]string{"server", "--token-file", "/run/token2"}, []string{"server", "--token-file", "/run/token2"}},
		"an empty word":                   {[]string{"server", "", "--x"}, []string{"server", "", "--x"}},
		"a word of quotes and separators": {[]string{"sh", "-c", "a; b | c 'd' \"e\""}, []string{"sh", "-c", "a; b | c 'd' \"e\""}},
		"no words":                        {nil, nil},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := redact.Args(row.words); !slices.Equal(got, row.want) {
				t.Errorf("Args(%q)\n got %q\nwant %q", row.words, got, row.want)
			}
		})
	}
}
