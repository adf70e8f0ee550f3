package redact_test

import (
	"strings"
	"testing"

	"github.com/kubernaut/kubernaut/internal/redact"
)

// planted are texts around a secret, which stands where @@ is.
var planted = map[string][]string{
	"names in every spelling": {
		`dbPass=@@`, `DB-PASSWORD=@@`, `smtp_pass: @@`, `mail.smtp.passwd=@@`, `MYSQL_PWD=@@`, `ftp-pwd: @@`, `keyPassphrase: @@`, `apikey=@@`, `api-key: @@`,
		`x-auth-key: @@`, `accessKey=@@`, `secretKey: @@`, `clientSecret=@@`, `OAUTH_CLIENT_SECRET=@@`, `privateKey=@@`, `ENCRYPTION_KEY=@@`, `signing key: @@`,
		`jwt=@@`, `authToken=@@`, `bindPW=@@`, `rootpw=@@`, `PGPASSWORD=@@`, `SECRET_KEY_BASE=@@`, `API_KEY_PAYMENTS=@@`, `PASSWORD_PROD=@@`, `dbPassword2=@@`,
		`ADMIN.PASSWORD = @@`, `DBPassword=@@`, `passwordHash=@@`, `app.datasource.hikari.password=@@`, `spring.redis.password: @@`, `userpassword: @@`,
		`credentials=@@`, `session_id=@@`, `sessionToken=@@`, `csrf_token=@@`, `WEBHOOK_SECRET=@@`, `vault_secret_id=@@`, `consumer_key: @@`, `masterKey=@@`,
		`X-Vault-Token: @@`, `PRIVATE-TOKEN: @@`, `DD_API_KEY=@@`, `DD-APPLICATION-KEY: @@`, `rabbitmq.default_pass = @@`, `requirepass @@`, `old_password=@@`,
		`Api Key: @@`, `access key = @@`, `passphrase @@`, `Ocp-Apim-Subscription-Key: @@`, `SharedAccessKey=@@`, `NEW_RELIC_LICENSE_KEY=@@`, `SONAR_TOKEN=@@`,
		`proxy_password=@@`, `GPG_PASSPHRASE=@@`, `KEYSTORE_PASSWORD=@@`, `ssl.truststore.password=@@`, `sshKeyPassphrase=@@`, `hmac_secret=@@`,
	},
	"structures": {
		`{"user":"app","pass":"@@"}`, `{"db":{"pwd":"@@"}}`, `{'password': '@@'}`, `{"msg":"{\"apiKey\":\"@@\"}"}`, `{"a":"{\\\"secretKey\\\":\\\"@@\\\"}"}`,
		`map[user:app pass:@@ host:db]`, `map[pass:@@]`, `map[X-Api-Key:[@@] Accept:[*/*]]`, `http.Header{"X-Auth-Token":[]string{"@@"}}`,
		`{User:app Password:@@ Host:db}`, `&main.Config{DB:"x", DBPass:"@@", Port:1}`, `Config { password: Some("@@"), port: 1 }`, `Config(password='@@', port=1)`,
		`password=b'@@'`, `<password>@@</password>`, `<db:Password type="x">@@</db:Password>`, `<password><![CDATA[@@]]></password>`, `<add key="DbPassword" value="@@"/>`,
		`<property name="connection.password">@@</property>`, `<user name="app" password="@@"/>`, `os.environ["DB_PASSWORD"] = "@@"`, `config['secret_key'] = '@@'`,
		`:password => "@@"`, `password := "@@"`, `set password = '@@'`, `[password=@@]`, `(password=@@)`, `password="@@";`, `"password" : "@@" ,`,
		"password: |\n  @@\nuser: app", "db:\n  password: >-\n    @@\n  user: app", "tokens:\n  - @@\nport: 1", "password:\n  @@",
		`{"name":"SMTP_PASS","value":"@@"}`, "- name: SMTP_PASS\n  value: @@", `{Name:SMTP_PASS Value:@@ ValueFrom:nil}`, `{"Name":"PASSWORD","Value":"@@"}`,
		"apiVersion: v1\nkind: Secret\ndata:\n  username: @@\nmetadata:\n  name: x", `{"apiVersion":"v1","data":{"username":"@@"},"kind":"Secret"}`,
		`{"x":"{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"stringData\":{\"config\":\"@@\"}}"}`,
		`{"auths":{"registry.test":{"auth":"@@@@@@=="}}}`, `.dockerconfigjson: @@`, `  DB_PASS:  @@`, `export DB_PASS=@@`, `ENV DB_PASS @@`, `DB_PASS="@@" ./run`,
		`password = ["@@"]`, `sasl.jaas.config=Login required username="app" password="@@";`, `password=a,@@,b`, `password=a&@@`, `password=a;@@`, `password=ab)@@`,
	},
	"connection strings": {
		`Server=tcp:db,1433;User ID=app;Pwd=@@;Encrypt=true`, `Data Source=db;User Id=app;Password=@@`, `jdbc:mysql://db:3306/shop?user=app&password=@@&useSSL=true`,
		`jdbc:oracle:thin:app/@@@db:1521:X`, `jdbc:sqlserver://db:1433;user=app;password=@@;`, `host=db user=app password=@@ sslmode=disable`, `dsn="host=db password=@@"`,
		`postgresql://app:@@/q@db.test/shop`, `amqps://app:@@@mq:5671/v`, `redis://:@@@cache:6379/0`, `rediss://default:@@@cache`, `mongodb+srv://app:@@@c0.test/shop?w=1`,
		`smtp://app%40x.org:@@@mail:587`, `app:@@@tcp(db:3306)/shop`, `https://@@@sentry.test/4`, `https://app:@@@proxy:3128`, `ldap://cn=app:@@@ldap`,
		`DefaultEndpointsProtocol=https;AccountName=s;AccountKey=@@==;EndpointSuffix=x`, `Endpoint=sb://b/;SharedAccessKeyName=r;SharedAccessKey=@@=`,
		`connectionString=@@`, `app:@@@db.test:5432`, `sqlserver://sa:@@@db?database=x`, `postgres%3A%2F%2Fapp%3A@@%40db`, `git clone https://oauth2:@@@git.test/x.git`,
		`cache.test:6380,password=@@,ssl=True`, `nats://@@@nats:4222`, `clickhouse://db:9000?username=a&password=@@`,
	},
	"URLs": {
		`https://x.test/g?a=up&access_token=@@`, `GET /x?api_key=@@ HTTP/1.1`, `https://x/?client_secret=@@#f`, `https://b/x?sv=1&sig=@@%3D`, `client_secret%3D@@%26grant_type`,
		`password%253D@@%2526x`, `https://api.telegram.org/bot123456789:AAH@@@@k/sendMessage`, `https://discord.com/api/webhooks/11223344/@@-x`,
		`https://hooks.slack.com/services/T00/B00/@@`, `https://outlook.office.com/webhook/1b2c@t/IncomingWebhook/@@/1`, `https://acme.webhook.office.com/webhookb2/a@b/IncomingWebhook/@@/c`,
		`https://chat.googleapis.com/v1/spaces/AAA/messages?key=@@&token=@@`, `https://oapi.dingtalk.com/robot/send?access_token=@@`, `https://hook.test/hooks/@@@@`,
		`{"url":"https://x.test/?token=@@\u0026a=1"}`, `redirect_uri=https%3A%2F%2Fx%3Ftoken%3D@@%26a`, `https://x.test/#access_token=@@&type=x`, `https://x.test/reset-password/@@@@`,
		`https://api.telegram.org/file/bot1234567:@@@@/doc`, `https://sub.test/?code=@@&state=1`, `POST body: user=app&password=@@`,
	},
	"commands": {
		`server --db-pass @@`, `server --db-pass=@@`, `server -password @@`, `mysql -uroot -p@@ -h db`, `mysqldump -h db -u root -p'@@' shop`, `["mysql","-uroot","-p@@"]`,
		`curl -u admin:@@ https://x`, `curl --user admin:@@ x`, `curl -sSfu admin:x -H "X-Api-Key: @@" x`, `curl -H 'Authorization: token @@' x`, `wget --http-password=@@ x`,
		`sshpass -p @@ ssh x`, `sshpass -p@@ ssh x`, `redis-cli -h c -a @@ ping`, `["redis-cli","-a","@@","ping"]`, `mongo -u app -p @@ db`, `mongodump --uri x -p @@`,
		`PGPASSWORD=@@ psql -h db`, `docker login -u app -p @@ registry`, `ldapsearch -D cn=a -w @@ -b x`, `sqlcmd -S db -U sa -P @@`, `kubectl create secret generic x --from-literal=a=@@`,
		`mc alias set m https://m access @@`, `rabbitmqctl add_user app @@`, `echo @@ | docker login --password-stdin`, `echo "root:@@" | chpasswd`, `openssl rsa -passin pass:@@`,
		`ALTER ROLE app WITH PASSWORD '@@'`, `CREATE USER a IDENTIFIED WITH x BY '@@'`, `ALTER USER app PASSWORD '@@'`, `CONFIG SET requirepass @@`, `AUTH @@`, `AUTH default @@`,
		`vault login @@`, `helm registry login r -u a --password @@`, `smbclient //x -U app%@@`, `keytool -storepass @@`, `htpasswd -bc f app @@`, `["--token","@@"]`, `--token, @@`,
		`sqlplus app/@@@db`, `machine x login a password @@`, `aws configure set aws_secret_access_key @@`, `etcdctl --user root:@@ get x`, `args: [--password, @@]`, `mosquitto_pub -u a -P @@ -t x`,
	},
	"headers": {
		`Authorization: Bearer @@`, `authorization=Basic @@`, `Proxy-Authorization: Basic @@`, `"Authorization":["Bearer @@"]`, `Authorization:[Bearer @@]`,
		`Authorization: Digest username="a", realm="r", nonce="n", response="@@"`, `Authorization: AWS4-HMAC-SHA256 Credential=x/y, SignedHeaders=h, Signature=@@`,
		`Authorization: ApiKey @@`, `Authorization: @@`, `Cookie: a=1; JSESSIONID=@@`, `Set-Cookie: sid=@@; Path=/`, `X-Api-Key: @@ refused`, `x-amz-security-token: @@`,
		`X-Goog-Api-Key:@@`, `sent header "X-Auth-Token: @@"`, `JSESSIONID=@@`, `connect.sid=@@`, `PHPSESSID=@@`, `grpc-metadata-authorization: bearer @@`,
	},
	"sentences": {
		`login failed for user 'app' using password @@`, `redis: WRONGPASS for default (auth @@)`, `AWS_SECRET_ACCESS_KEY is @@`, `the password is @@`, `password was @@.`, `using token @@ for x`,
		`tried password "@@"`, `wrong password (@@)`, `password for user app is @@`, `invalid token: @@`, `bad api key: @@`, `credentials app:@@ rejected`,
		`secret key @@ rejected`, `password '@@' is too short`, `set DB_PASSWORD to @@`, `with passphrase @@`, `error: DB_PASS=@@ is not accepted`, `got password -> @@`, `api key '@@' not valid`,
	},
	"what programs print and take": {
		`level=error msg="auth failed" passwd=@@ user=bob`, `{"level":"error","config":{"redis":{"auth":"@@"}}}`, `DATABASE_URL=mysql://root:@@@mysql:3306/app`,
		`MINIO_ROOT_PASSWORD=@@`, `aws_session_token = @@`, `ARM_CLIENT_SECRET="@@"`, `CLOUDFLARE_API_TOKEN=@@`, `//npm.example.test/:_authToken=@@`, `_auth=@@`,
		`index-url = https://__token__:@@@pypi.test/simple`, `-Djavax.net.ssl.trustStorePassword=@@`, `java -DDB_PASS=@@ -jar app.jar`, `ConnectionStrings__Default=Server=db;Uid=app;Pwd=@@;`,
		`Driver={ODBC Driver 17};UID=sa;PWD={@@};`, `user:app,pass:@@,host:db`, `username: app password: @@`, `sftp app:@@@host:22`, `rtsp://admin:@@@cam/1`, `curl -b "session=@@" https://x`,
		`curl -d '{"password":"@@"}' x`, `wget --header="X-Auth-Token: @@" x`, `mysqladmin -uroot -p"@@" ping`, `["sh","-c","mysqldump -u root -p@@ shop > /b.sql"]`, `redis-cli --pass @@ ping`,
		`helm upgrade x . --set db.pass=@@,db.user=a`, `terraform apply -var="db_password=@@"`, `docker run -e DB_PASS=@@ x`, `az login --service-principal -u x -p @@ --tenant y`,
		`vault write auth/approle/login role_id=x secret_id=@@`, `vault kv put secret/x password=@@`, `setx API_KEY @@`, `$env:API_KEY="@@"`, `masterauth @@`, `  password: @@ # comment`, `'password' => '@@',`,
		`<ns1:clientSecret>@@</ns1:clientSecret>`, `<string name="api_key">@@</string>`, `<connectionString>Server=x;Password=@@</connectionString>`, `&lt;password&gt;@@&lt;/password&gt;`, `password=&quot;@@&quot;`,
		`%7B%22password%22%3A%22@@%22%7D`, `password%22%3A%20%22@@%22`, `{\u0022password\u0022:\u0022@@\u0022}`, `token\u003d@@\u0026x`, `&{Host:db Port:5432 Password:@@ User:app}`,
		`map[string]interface {}{"token":"@@"}`, `DataSource[url=x, password=@@]`, `HikariConfig - password....@@`, `#<User id: 1, password: "@@">`, `%{password: "@@"}`, `[{password,"@@"}]`, `{password, <<"@@">>}`,
		`(:password "@@")`, `Array ( [password] => @@ )`, `["password"]=> string(10) "@@"`, `password|@@`, `| password | @@ |`, `DB_PASSWORD    @@`, `password;@@`, `Your password is: @@`,
		`A temporary password is generated for root@localhost: @@`, `Incorrect API key provided: @@`, `API key @@ is not valid`, `Token '@@' not found`, `authentication failed (user=bob, pass=@@)`,
		`bearer_token: @@`, `shared secret @@`, `hmac key: @@`, `keystore password was @@`, `AUTH PLAIN @@`, `unicodePwd:: @@`, `bindCredential=@@`, `snmpwalk -v2c -c @@ host`, `psk=@@`, `WIFI_PSK: @@`,
		`PresharedKey = @@`, `PrivateKey = @@`, `db:5432:shop:app:@@`, `totp_seed=@@`, `backup code: @@`, `recovery_code=@@`, `APP_KEY=base64:@@`, `RAILS_MASTER_KEY=@@`, `AIRFLOW__CORE__FERNET_KEY=@@`,
		`HASH_SALT: @@`, `STRIPE_KEY=@@`, `ALGOLIA_ADMIN_KEY=@@`, `deploy_key=@@`, `ghToken: @@`, `AZURE_DEVOPS_EXT_PAT=@@`, `creds: app:@@`, `HTTP_AUTH=app:@@`, `auth: app:@@`,
		`password for HTTP/web.x.test@X.TEST is @@`, `password for user "app" is @@`, `password for 'app'@'%' is @@`, `the new password for user jo42x is @@`, `the temporary password of account svc_x9 is @@`,
		`the password was changed to @@`, `authenticated with access token @@`, `using API key @@ from 10.0.0.9`, `the client secret is @@`, `login with credentials jo:@@`, `credentials admin/A.@@ rejected`,
	},
	"statements": {
		`SET PASSWORD FOR app@localhost = PASSWORD('@@');`, `SET PASSWORD FOR 'app'@'%' TO '@@'`, `ALTER LOGIN sa WITH PASSWORD = N'@@'`, `CREATE USER MAPPING FOR a SERVER p OPTIONS (user 'a', password '@@')`,
		`EXEC sp_addlogin 'jo', '@@'`, `sp_password 'x', '@@'`, `create user scott identified by @@`, `CREATE DATABASE LINK x CONNECT TO app IDENTIFIED BY @@ USING 'X'`, `GRANT ALL ON x.* TO app IDENTIFIED BY @@`,
	},
	"directives": {
		`masterauth @@`, `primaryauth @@`, `sentinel auth-pass mymaster @@`, `  auth_pass @@`, `user app on >@@ ~* +@all`, `ACL SETUSER app on >@@ allkeys`, `user admin insecure-password @@`, `stats auth admin:@@`,
		`bindpw @@`, `rootpw @@`, `smtp_password @@`, `password: !plain @@`, `db: {password: !encrypted @@, host: x}`, `password: !enc/pkcs "@@"`, `credentials: @@`, `*:*:*:app:@@`,
	},
	"protocols": {
		`1.0 [0 10.0.3.7:51122] "AUTH" "@@"`, `1.0 "AUTH" "app" "@@"`, `1.0 "HELLO" "3" "AUTH" "default" "@@" "SETNAME" "x"`, `1.0 "CONFIG" "SET" "masterauth" "@@"`, `addauth digest super:@@`,
		`setAcl /x auth:jo:@@:cdrwa`, `a1 LOGIN jo @@`, `A002 LOGIN "jo" "@@"`, `---> PASS @@`, `C: PASS @@`, `PRIVMSG NickServ :IDENTIFY @@`,
		`PlainLoginModule required username="a" user_a="@@" user_b="@@";`, "DigestLoginModule required\n user_super='@@';",
	},
	"refusals": {
		`spec.auth.password: Invalid value: "@@": must be longer`, `spec.users[0].password: Invalid value: "@@": x`, `The Database "x" is invalid: spec.token: Unsupported value: "@@": supported values: "a"`,
		`data.db_password: Duplicate value: "@@"`, `invalid value "@@" for flag -db-password: too short`, `invalid argument "@@" for "-p, --password" flag: too short`,
	},
	"more than one": {
		`snmpget -v3 -A one -X @@ host`, `keytool -importkeystore -srcstorepass one -deststorepass @@`, `kubectl create secret generic x --from-literal=a=b --from-literal=c=@@`, `curl -u a:b -U c:@@ x`, `net use x: \\h\s @@ /user:bob`,
	},
	"phrases": {
		`wallet.passphrase: vier kleine Igel, 3 Äpfel & @@`, `mnemonic: abandon ability able about @@`, `seed phrase: abandon ability @@`, `SEED_PHRASE="abandon ability @@"`, `recovery_phrase=@@`,
	},
	"changes": {
		`  ~ password = "one.Two" -> "@@"`, `  ~ password = null -> "@@"`, `  ~ password = (sensitive value) -> "@@"`, `  ~ "db_password" = "@@" -> "x"`, `password: "one.Two" => "@@" (forces new resource)`, `DB_PASSWORD: a.B -> @@`,
		`password changed from "a.B" to "@@"`, `the password was reset from '@@' to 'a.B'`, `password of user bob changed from "a.B" to "@@"`,
	},
	"behind placeholders": {`password=(token=@@)`, `password={{x}},token=@@`, `  ~ password = "" -> "@@"`, `{\"pw\":\"a.B\"} {\"pw\": \"c\" => \"@@\"}`},
	"columns":             {"    db_password" + strings.Repeat(" ", 40) + `= "@@"`, "api_token" + strings.Repeat(" ", 20) + ": @@", "password" + strings.Repeat(" ", 12) + "=> '@@'"},
	"behind failures": {
		`failed to log in with password: @@`, `failed to load config with password: @@`, `failed to parse token: @@: invalid`, `could not get token: @@`, `error reading config: password: @@`, `unable to verify password: @@`,
	},
	"what Terraform made": {
		"resource \"random_password\" \"x\" {\n  length = 16\n  result = \"@@\"\n}", `random_password.x["a"].result = @@`, `{"type":"random_password","values":{"length":16,"result":"@@"}}`, `module.x.random_password.y: result = "@@"`,
	},
	"quoted users": {
		`smbclient //x -U "D\a%@@"`, `smbclient //x --user=a%@@`, `rpcclient -U 'D/a%@@' x`, `lftp -u 'a,@@' ftp://x`, `sqlplus shop/@@@ora:1521/X`, `connecting shop/@@@//ora/X`, `dsn="shop/@@@//10.0.0.1:1521/X"`,
	},
	"calls and lists": {
		`DB_DSN='app:@@@/shop?parseTime=true'`, `DBI connect('dbname=x','app','@@',...) failed`, `PDO->__construct('mysql:host=db', 'app', '@@')`, `mysqli_connect("db", "app", "@@")`, `getConnection("jdbc:x", "app", "@@")`,
		`Unseal Key 1: @@`, `recovery code #2: @@`, `[smtp.x.test]:587 app:@@`, `ARM_ACCESS_KEY @@==`, `SNMP community string @@ is wrong`,
	},
}

func TestEveryPlantedSecretGoes(t *testing.T) {
	for _, secret := range []string{"Wq7zLm2Vt9", "hunter2x", "n0t-S0-s3cret!", "c4f3b4b3d34db33f"} {
		for kind, texts := range planted {
			t.Run(kind+" with "+secret, func(t *testing.T) {
				for _, text := range texts {
					got := redact.Text(strings.ReplaceAll(text, "@@", secret))
					if strings.Contains(got, secret) || strings.Contains(got, secret[:len(secret)-1]) {
						t.Errorf("%s\n is left as %s", text, got)
					}
					if again := redact.Text(got); again != got {
						t.Errorf("%q\n becomes %q the second time", got, again)
					}
				}
			})
		}
	}
}

// Assembled here so that scanners of repositories do not take them for real ones.
var (
	hex = strings.Repeat("0a1b2c3d", 8)
	mix = strings.Repeat("aB3dE6gH", 8)

	letters = strings.Repeat("aBdEgHQz", 8)
)

// An empty value in quotes is none, wherever it stands.
func TestNothingStandsInPlaceOfASecret(t *testing.T) {
	for kind, texts := range planted {
		t.Run(kind, func(t *testing.T) {
			for _, text := range texts {
				for _, empty := range []string{"", `""`, "''", `"`, "'", " ", `"" ''`, `""""`, "{}", "[]", "()", "=", ":"} {
					redact.Text(strings.ReplaceAll(text, "@@", empty))
				}
			}
		})
	}
	for _, text := range []string{`password ""`, `password ''`, `machine x login y password ""`, `mysql -p ""`, `redis-cli -a ''`, `echo "" | sudo -S x`} {
		if got := redact.Text(text); got != text {
			t.Errorf("%s becomes %s", text, got)
		}
	}
}

// Secrets without a digit that are no words or names: the sign or the capital within
// them tells, where it stands does the rest.
func TestSecretsWithoutDigitsGo(t *testing.T) {
	for _, secret := range []string{"Alpha.beta", "alpha.Beta_gamma", "Alpha-Beta-gamma", "alphaBeta!"} {
		for _, text := range []string{
			`login with password '@@' failed`, `user "a" password "@@" realm X`, `passphrase "@@" is wrong`, `db password '@@' rejected`, `  ~ password = "x" -> "@@"`, `shop/@@@//ora:1521/X`, `smbclient //x -U 'a%@@'`,
		} {
			if got := redact.Text(strings.ReplaceAll(text, "@@", secret)); strings.Contains(got, secret[:6]) {
				t.Errorf("%q is left in %q", secret, got)
			}
		}
	}
}

func TestPassphrasesOfSeveralWordsGo(t *testing.T) {
	for _, text := range []string{"passphrase=drei Möwen im Wind", "password: drei Möwen im Wind", "wallet.passphrase: drei Möwen im Wind", `passphrase="drei Möwen im Wind"`} {
		if got := redact.Text(text); strings.Contains(got, "Wind") {
			t.Errorf("%q is left as %q", text, got)
		}
	}
}

func TestKeysOfPagerDutyGo(t *testing.T) {
	for _, secret := range []string{hex[:32], "R" + strings.ToUpper(mix[:31])} {
		for _, text := range []string{"routing_key: '@@'", `{"routing_key": "@@"}`, "routingKey=@@", `"{\"routing_key\":\"@@\"}"`} {
			if got := redact.Text(strings.ReplaceAll(text, "@@", secret)); strings.Contains(got, secret) {
				t.Errorf("%q is left as %q", text, got)
			}
		}
	}
}

func TestOneTimeCodesGo(t *testing.T) {
	for _, text := range []string{"your verification code is 471133", "OTP 471133 sent", "passcode 471133 is wrong", "2FA code: 471133", "PIN=4711",
		"otp for +49-151: code=471133", `{"type":"totp","user":"bob","code":"471133"}`, "sms to bob sent, code: 471133", "mfa user=bob code=471133"} {
		if got := redact.Text(text); strings.Contains(got, "4711") {
			t.Errorf("%q is left as %q", text, got)
		}
	}
}

func TestTokensOfIssuersGo(t *testing.T) {
	for issuer, secret := range map[string]string{
		"Twilio": "SK" + hex[:32], "Mailgun": "key-" + hex[:32], "Mailchimp": hex[:32] + "-us12", "Telegram": "123456789:" + mix[:35], "Discord": "M" + mix[:23] + "." + mix[:6] + "." + mix[:27],
		"SendGrid": "SG." + mix[:22] + "." + mix[:43], "Stripe": "sk_" + "live_" + mix[:24], "GitLab": "glpat-" + mix[:20], "npm": "npm_" + mix[:36], "PyPI": "pypi-" + mix[:40],
		"DigitalOcean": "dop_v1_" + hex, "Docker": "dckr_pat_" + mix[:27], "Databricks": "dapi" + hex[:32], "Shopify": "shpat_" + hex[:32], "New Relic": "NRAK-" + strings.ToUpper(mix[:27]),
		"a license of New Relic": hex[:36] + "NRAL", "Google": "AIza" + mix[:35], "a client of Google": "GOCSPX-" + mix[:28], "Azure": "abc8Q~" + mix[:34], "Sentry": "sntrys_" + mix[:40],
		"Vault": "hvs." + mix[:24], "an old Vault": "s." + mix[:24], "Tailscale": "tskey-auth-" + mix[:12] + "-" + mix[:20], "Atlassian": "ATATT" + "3" + mix[:40], "Alibaba": "LTAI" + mix[:20],
		"Grafana": "glsa_" + mix[:32], "Terraform": mix[:14] + ".atlasv1." + mix[:60], "OpenAI": "sk-proj-" + mix[:40], "PostgreSQL": "md5" + hex[:32], "Hugging Face": "hf_" + letters[:34], "a key without digits": "sk-" + letters[:32], "Dynatrace": "dt0c01." + strings.ToUpper(mix[:24]) + "." + strings.ToUpper(mix + mix)[:64],
	} {
		for _, around := range []string{"x @@ y", "x=@@", `{"x":"@@"}`, "(@@)"} {
			if got := redact.Text(strings.ReplaceAll(around, "@@", secret)); strings.Contains(got, secret) || !strings.Contains(got, redact.Marker) {
				t.Errorf("a token of %s is left in %q", issuer, got)
			}
		}
	}
}

func TestAnswersOfMailDialogsGo(t *testing.T) {
	const secret = "aHVudGVyMngx"
	for _, text := range []string{
		"C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: @@\nS: 334 UGFzc3dvcmQ6\nC: @@\nS: 235 ok", "> AUTH PLAIN\n< 334 \n> @@", "AUTH CRAM-MD5\n334 PDE4OTYuNjk3QHg+\n@@",
		"send: 'AUTH LOGIN'\nreply: b'334 VXNlcm5hbWU6\\r\\n'\nreply: retcode (334); Msg: b'VXNlcm5hbWU6'\nsend: '@@\\r\\n'",
	} {
		if got := redact.Text(strings.ReplaceAll(text, "@@", secret)); strings.Contains(got, secret) {
			t.Errorf("%q\n is left as %q", text, got)
		}
	}
}
