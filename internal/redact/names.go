package redact

import (
	"strings"
	"unicode"
)

// kind is the kind of value that makes a field's value a secret.
type kind int

const (
	// harmless fields hold no secret.
	harmless kind = iota
	// generated fields hold a secret only if a machine generated the value.
	generated
	// opaqueOnly fields hold a secret unless the value is a word, a number or a name.
	opaqueOnly
	// digitsOnly fields hold a secret if the value is a code of digits.
	digitsOnly
	// anyValue fields hold a secret unless the value says that there is none.
	anyValue
)

// name is what the words of a field's name say.
type name struct {
	kind kind
	// noun is the word that makes it the name of a secret.
	noun string
	// bare is true if the noun is the whole name.
	bare bool
	// loose is true if the word before it does not say that the value is a secret
	// and not the name of one.
	loose bool
}

// nouns are the words that name a secret.
var nouns = map[string]kind{
	"password": anyValue, "passwd": anyValue, "passwort": anyValue, "passphrase": anyValue, "passcode": anyValue, "pwd": anyValue,
	"passwrd": anyValue, "pw": anyValue, "pass": anyValue, "psw": anyValue, "pswd": anyValue, "secret": anyValue, "token": anyValue,
	"mnemonic": anyValue, "dockerconfigjson": anyValue, "dockercfg": anyValue, "masterauth": anyValue, "jwt": anyValue, "bearer": opaqueOnly,
	"credential": opaqueOnly, "cred": opaqueOnly, "cookie": opaqueOnly, "signature": opaqueOnly, "sig": opaqueOnly, "auth": opaqueOnly,
	"authorization": opaqueOnly, "session": opaqueOnly, "sessionid": opaqueOnly, "sessid": opaqueOnly, "sid": opaqueOnly, "salt": opaqueOnly,
	"sas": opaqueOnly, "csrf": opaqueOnly, "xsrf": opaqueOnly, "pat": opaqueOnly, "hmac": opaqueOnly, "authkey": opaqueOnly, "seed": generated,
	"psk": anyValue, "key": generated, "rsa": generated, "otp": digitsOnly, "totp": digitsOnly, "pin": digitsOnly,
}

// plurals are read as their singular, but their values must look like secrets:
// they are more often counts and lists of names.
var plurals = map[string]string{
	"passwords": "password", "secrets": "secret", "tokens": "token", "keys": "key", "credentials": "credential", "creds": "cred", "cookies": "cookie",
}

// suffixes are the nouns that names written in one word end with.
var suffixes = []string{
	"password", "passwd", "passphrase", "passcode", "pwd", "secret", "token", "sessionid", "sessid", "credentials", "credential", "creds",
	"key", "pass", "pw", "auth", "signature",
}

// words that only end like a noun.
var notSuffixed = set("bypass compass surpass trespass encompass overpass underpass multipass oauth multiauth noauth reauth preauth unauth")

// keyOwners before "key" make it a secret.
var keyOwners = set("api access secret private priv account auth authentication authorization encryption encrypt encrypted decrypt decryption " +
	"fernet crypt crypto cryptographic cipher signing sign sig signature master ssh shared preshared psk storage license licence session hmac aes des rsa ecdsa app " +
	"application consumer client server write admin deploy integration ingest ingestion instrumentation subscription function functions " +
	"unseal recovery root jwt jwe cookie webhook sas deployment wrapping wrap data-encryption service bot genie security org stream query " +
	"validator validation license oauth customer mailgun sendgrid stripe twilio datadog openai anthropic algolia pagerduty honeycomb newrelic dd")

// opaqueKeyOwners are those of them that own other keys as well.
var opaqueKeyOwners = set("app application client server write admin deploy service root session data query stream functions function org bot security customer storage account integration " +
	"oauth validation cookie webhook recovery subscription license licence des sig sign signature cipher")

// harmlessKeyOwners before "key" make it another kind of key.
var harmlessKeyOwners = set("public pub primary foreign partition sort cache row object map label annotation taint group routing idempotency dedup " +
	"deduplication alert translation i18n hot shard index lookup message record event metric config feature lock unique composite natural " +
	"missing unknown duplicate invalid host kms column range hash registry")

// counted words before a noun make it the name of something else.
var harmlessOwners = map[string]map[string]bool{
	"token": set("eos bos pad unk mask sep cls stop special prompt completion total input output cached max min num page next continuation pagination " +
		"cursor continue sync fencing unrecognized near offending stray unexpected illegal syntax used remaining generated"),
	"pass": set("first second third last final next each per single multi one two test tests gc render proxy fastcgi uwsgi scgi grpc by checks check " +
		"build compile boarding low high band rate"),
	"secret":  set("is has no with without use require requires"),
	"cookie":  set("consent"),
	"session": set("max active idle total num open"),
	"sig":     set("special stop"),
	"auth":    set("no has is use enable disable require skip"),
}

// refOwners before "secret" make it the name of a Secret of Kubernetes.
var refOwners = set("existing pull tls ssl cert certificate from ca mount volume env k8s kubernetes target source referenced missing ingress default image create kube name ref")

// secretOwners before "secret" make it the secret itself.
var secretOwners = set("client app api webhook shared jwt session cookie consumer oauth aws access master signing hmac auth hub github gitlab totp otp token account " +
	"application bot server partner csrf encryption channel user key private slack stripe")

// neutral words after a noun change nothing.
var neutral = set("value values string str text plain plaintext raw data base64 base b64 encoded encrypted enc phrase hash hashed old new current previous next " +
	"prod production dev development stage staging test qa uat primary secondary master replica slave main backup default confirm confirmation again repeat " +
	"env override db database admin root user app live sandbox local internal external token key secret password for in of us eu md is sha bcrypt ro rw header param")

// about words after a noun tell something about a secret and do not hold it: a
// missing Secret is a cause that people need to read.
var about = set("name names namespace ref refs reference references path paths file files filename dir directory type types kind count counts total seconds second " +
	"length len ttl expiry expires expire expired expiration expiring at age policy policies rotation rotated rotate hint reset required require enabled " +
	"disabled enable disable valid invalid attempts attempt retries url uri endpoint issuer provider version algorithm alg algo mode status error errors class " +
	"bucket buckets budget limit limits usage used per rate size min max missing exists set changed updated created last strength method scheme backend source store manager " +
	"service server host port audience scope scopes field column index prefix suffix format engine volume mount lifetime timeout duration interval window " +
	"days minutes hours ms through throughput review reviews request requests requested bytes space spaces value_from selector secretname secretref " +
	"claim claims account_name plugin driver module handler middleware cache label labels template pattern regex regexp length_min stdin prompt " +
	"failed failure failures success succeeded passed skipped ok consent domain samesite secure state info revoked found mismatch check checker checks " +
	"storage affinity validation validator loader resolver controller operator sync synced generation resource resources percent ratio quota id_claim")

func set(words string) map[string]bool {
	all := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		all[w] = true
	}
	return all
}

// judgeName says what kind of value makes the value of a field of that name a secret.
func judgeName(field string) name {
	words := atoms(split(field))
	for i := len(words) - 1; i >= 0; i-- {
		noun, plural := words[i], false
		if one, ok := plurals[noun]; ok {
			noun, plural = one, true
		}
		k, ok := nouns[noun]
		if !ok {
			continue
		}
		if i+1 < len(words) {
			noun, k = continued(noun, words[i+1], k)
		}
		if k = tailed(owned(words, i, noun, k), words[i+1:]); k == harmless {
			return name{}
		}
		if plural && k > opaqueOnly {
			k = opaqueOnly
		}
		return name{kind: k, noun: noun, bare: len(words) == 1, loose: i == 0 || !secretOwners[words[i-1]]}
	}
	return compound(words)
}

// compound judges names of several words of which none names a secret by itself.
func compound(words []string) name {
	for i := 1; i < len(words); i++ {
		switch words[i-1] + " " + words[i] {
		case "connection string", "conn string", "connect string", "conn str":
			return name{kind: tailed(anyValue, words[i+1:]), noun: "string"}
		case "recovery phrase", "backup phrase", "wallet phrase":
			return name{kind: tailed(anyValue, words[i+1:]), noun: "passphrase"}
		case "session id", "sess id":
			return name{kind: tailed(anyValue, words[i+1:]), noun: "session"}
		case "mfa code", "verification code", "otp code", "fa code", "time code", "security code", "auth code", "recovery code", "backup code":
			return name{kind: opaqueOnly, noun: "otp"}
		case "community string":
			return name{kind: tailed(anyValue, words[i+1:]), noun: "community"}
		case "tls pem", "id ed":
			return name{kind: opaqueOnly, noun: "key"}
		}
	}
	return name{}
}

// continued judges a noun by the word right after it, with which it is another one.
func continued(noun, next string, k kind) (string, kind) {
	switch {
	case next == "phrase": // of a wallet: several words
		return "passphrase", anyValue
	case noun == "session" && next == "id":
		return noun, anyValue
	case noun == "pin" && next == "sha": // the digest of a certificate
		return noun, harmless
	}
	return noun, k
}

// owned judges a noun by the word before it.
func owned(words []string, i int, noun string, k kind) kind {
	owner := ""
	if i > 0 {
		owner = words[i-1]
	}
	if harmlessOwners[noun][owner] {
		return harmless
	}
	switch noun {
	case "key":
		return keyOf(owner)
	case "auth", "seed":
		if makesSecret[owner] {
			return anyValue
		}
	case "secret":
		if refOwners[owner] {
			return generated
		}
	}
	return k
}

// makesSecret are the words that make a seed or the like a secret.
var makesSecret = set("master mfa otp totp")

// keyOf judges a key by the word before it.
func keyOf(owner string) kind {
	switch {
	case harmlessKeyOwners[owner]:
		return harmless
	case opaqueKeyOwners[owner]:
		return opaqueOnly
	case keyOwners[owner]:
		return anyValue
	}
	return generated
}

// tailed judges a noun by the words after it.
func tailed(k kind, tail []string) kind {
	for i, w := range tail {
		switch {
		case w == "id" && i == len(tail)-1:
			if k != anyValue {
				return harmless
			}
		case about[w]:
			return harmless
		case !neutral[w] && k == anyValue:
			k = opaqueOnly
		}
	}
	return k
}

// split returns the words of an identifier in lower case, without its digits:
// those of camelCase, snake_case, kebab-case and dotted.names.
func split(identifier string) []string {
	var words []string
	start := -1
	flush := func(end int) {
		if start >= 0 {
			words = append(words, strings.ToLower(identifier[start:end]))
		}
		start = -1
	}
	for i := range len(identifier) {
		c := identifier[i]
		switch {
		case !isLetter(c):
			flush(i)
			continue
		case start >= 0 && isUpper(c) && (!isUpper(identifier[i-1]) || humpAt(identifier, i)):
			flush(i)
		}
		if start < 0 {
			start = i
		}
	}
	flush(len(identifier))
	return words
}

// humpAt is true where a capital letter begins a word after an acronym, as P in
// DBPassword.
func humpAt(s string, i int) bool {
	return i+2 < len(s) && !isUpper(s[i+1]) && isLetter(s[i+1]) && isLetter(s[i+2])
}

// atoms splits names that are written in one word, such as dbpassword and apikey.
func atoms(words []string) []string {
	var out []string
	for _, w := range words {
		head, tail := cutSuffix(w)
		if head != "" {
			out = append(out, head)
		}
		out = append(out, tail)
	}
	return out
}

func cutSuffix(w string) (head, tail string) {
	if nouns[w] != harmless || plurals[w] != "" || notSuffixed[w] {
		return "", w
	}
	for _, suffix := range suffixes {
		if head, ok := strings.CutSuffix(w, suffix); ok && head != "" && splits(head, suffix) {
			return head, suffix
		}
	}
	return "", w
}

// splits is true for a head before a suffix that is a word of its own: monkey has none.
func splits(head, suffix string) bool {
	switch suffix {
	case "key":
		inner, last := cutSuffix(head)
		return keyOwners[head] || harmlessKeyOwners[head] || inner != "" || keyOwners[last]
	case "auth":
		return head == "basic" || head == "proxy" || head == "docker" || head == "registry"
	}
	return true
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isUpper(c byte) bool  { return c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// isNameByte is true for what names of fields are made of.
func isNameByte(c byte) bool {
	return isLetter(c) || isDigit(c) || c == '_' || c == '-' || c == '.'
}

func lettersOnly(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
}
