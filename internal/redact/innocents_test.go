package redact_test

import (
	"testing"

	"github.com/kubernaut/kubernaut/internal/redact"
)

// innocent are texts that look like secrets to a careless rule.
var innocent = map[string][]string{
	"messages": {
		`FATAL: password authentication failed for user "app"`, `Access denied for user 'app'@'10.0.0.1' (using password: YES)`, `token expired`, `error: token: expired`,
		`invalid token: signature is invalid`, `token: contains an invalid number of segments`, `key not found: user:42`, `pass 3 of 5`, `secret "db-cred" not found`,
		`couldn't find key PASSWORD in Secret shop/db`, `password is required`, `password: is required`, `password: must be at least 8 characters`, `passwords do not match`,
		`"password": "is required"`, `token has expired at 2024-05-01T10:00:00Z`, `basic authentication failed`, `Bearer authentication required`, `authorization: denied`,
		`cookie consent: accepted`, `the cookie: rejected by the browser`, `unexpected token: }`, `SyntaxError: Unexpected token < in JSON at position 0`, `unexpected token: foo1bar`,
		`secret shop/db-credentials-v2 created`, `MountVolume.SetUp failed for volume "tls" : secret "web-tls-2024" not found`, `open /var/run/secrets/token: no such file or directory`,
		`stat /etc/ssl/private.key: permission denied`, `missing required key: db.host in config`, `duplicate key value violates unique constraint "users_pkey"`,
		`host key verification failed`, `session closed: idle timeout 30s`, `failed to verify signature: crypto/rsa: verification error`, `auth: connection refused`,
		`authentication error: context deadline exceeded`, `password for user app has expired`, `no password set for role app2`, `credentials: file not found`, `token review: unauthorized`,
		`pinned to node-3`, `the api key is missing`, `auth failed for service web-7d4b9c6f5d-x2x8q`, `using secret shop/web-tls-2024`, `token for serviceaccount shop/web-2 not found`,
		`secret: not found`, `Error: couldn't find key api-token in Secret shop/web2`, `password rotation completed in 12.5s`, `session 42 opened`, `the password file /etc/pw2 is empty`,
		`rotate the secret key every 90d`, `login as admin failed`, `logged in as system:serviceaccount:shop:web2`, `tokens remaining: 1500`, `User "system:serviceaccount:shop:web" cannot get resource "secrets" in API group ""`,
		`token is malformed: token contains an invalid number of segments`, `pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed`,
		`MountVolume.SetUp failed: references non-existent secret key: tls.crt`, `http: TLS handshake error from 10.0.0.1:41234: remote error: tls: bad certificate`, `WRONGPASS invalid username-password pair or user is disabled.`,
		`NOAUTH Authentication required.`, `the secret of pod web2-x1 is mounted`, `redis AUTH failed: wrong password`, `configmap "web" key "feature2.json" missing`,
	},
	"fields": {
		`tests passed=12 failed=0`, `bypass: true`, `monkey: banana7x`, `key=cache:user:42`, `author: jane42x`, `authority=db-1.shop.svc:443`, `compass=n0rth42`, `passenger=jane42x`,
		`token_bucket=orders2`, `keyspace=shop_v2`, `primary key (id)`, `foreign key: order_id2`, `public key: abc12345`, `secretName: db`, `passwordSecretRef: db2-cred`,
		`existingSecret: x`, `existingSecret: web2-db`, `tokens=1523 (LLM)`, `max_tokens: 4096`, `password: <nil>`, `password: ""`, `password: null`, `password=***`, `password=xxxxx`,
		`password=$(DB_PASSWORD)`, `password=${DB_PASSWORD}`, `password: {{ .Values.db.password }}`, `DB_PASSWORD:  <set to the key 'password' in secret 'db'>  Optional: false`,
		`token_ttl=3600s`, `password_min_length=12`, `secret_count=3`, `imagePullSecrets: [regcred2]`, `imagePullSecret: regcred`, `secret="shop/web-tls"`, `Secret="shop/web-tls-2"`,
		`key: node.kubernetes.io/not-ready`, `partition_key=9f86d081884c7d65`, `idempotency_key=8f14e45fceea167a5a36dedd4bea2543`, `cache_key=user:42:profile`, `keyId=4711`,
		`auth=ldap`, `auth_type=scram-sha-256`, `auth.mode: oauth2`, `authenticated=true`, `pass=12`, `pass=true`, `pass: ok`, `proxy_pass http://backend2:8080;`, `session=42`, `sessions: 17`,
		`pin: 17`, `pinned=true`, `PWD=/app`, `OLDPWD=/srv/app2`, `tokenizer=bert2base`, `token_url=https://idp.test/oauth2/token`, `secretPath: secret/data/shop`, `tokenFile=/var/run/token2`,
		`credentialsSecret: web2-db`, `signature_algorithm=RS256`, `cookie_domain=x2.test`, `key_prefix=shop2`, `hotkey=ctrl2alt`, `keyboard=us2intl`, `passive=port2121`, `passthrough=port4433`,
		`accessKeyId=4`, `max_connections: 100`, `apiVersion: v1`, `secretKeyRef: {name: db2, key: password}`, `valueFrom: {secretKeyRef: {name: web2-db, key: api-token}}`, `token == nil`,
		`completion_tokens=512 prompt_tokens=1011`, `password_changed_at=2024-05-01T10:00:00Z`, `next_page_token=abc123x`, `sigterm=15`, `signal=SIGKILL`, `password=os.environ["DB_PASSWORD"]`,
		`password: str`, `{"token":{"type":"jwt"}}`, `{"secret":{"secretName":"db2-cred"}}`, `salt: true`, `seed=42`, `otp_enabled=1`, `keys: 42`, `passRate=98.5%`, `auth_latency_ms=12`,
		`secret_version=12`, `password_policy=strong2`, `credentials_file: /etc/gcp/key2.json`, `x-cache-key: GET/shop/42`, `resourceVersion: "12345678"`, `kubernetes.io/service-account.name: web2`,
		`sortKey=created_at2`, `s3_key=backups/2024/db.tar.gz`, `Key: Value2x`, `routing_key=orders.created.v2`, `mtls_secret_ref=shop/ca-2`, `tls_key_file=/etc/tls/tls.key`, `secrets: 3`, `tlsSecret: web-tls-2`,
	},
	"objects and numbers": {
		`shop@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`, `web:1.2.3@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`,
		`trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7`, `commit 9fceb02d0ae598e95dc970b74767f19372d61af8`, `uid=5a8f2d0e-7a9c-4b8e-9d59-2d7f8a4e1c33`,
		`pod web-7d4b9c6f5d-x2x8q`, `pod-template-hash=7d4b9c6f5d`, `containerd://e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`, `request_id=req-01HZX3K9T2`,
		`open /var/cache/Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4MTIz/index: no such file`, `at com.acme.AbstractAutowireCapableBeanFactory2Implementation.create(Bean.java:42)`, `etag: "33a64df551425fcc55e4d42a148795d9"`,
		`arn:aws:iam::123456789012:role/web2`, `2024-05-01T10:00:00.123Z`, `fe80::1ff:fe23:4567:890a`, `main.(*Server).handleToken2(0xc000123456)`, `goroutine 42 [running]:`, `0xc0000b4000`,
		`-----BEGIN`, `go.uber.org/zap@v1.27.0`, `npm:lodash@4.17.21`, `mailto:jane2@x.test`, `user:jane@x2.test`, `system:node:ip-10-0-1-2.ec2.internal`, `feature/PASS-1234-login2`,
	},
	"commands": {
		`server -p 8080`, `mysql -u root -h db`, `mysql -P 3306`, `docker run -p 8080:80 -u 1000:1000 web2`, `docker run --user app:app web`, `ssh -p 2222 host2`, `nc -u a:53`, `--port 8080 --user root`,
		`["--config","/etc/web2.yaml"]`, `--token-ttl 3600s`, `--secret-name web2-db`, `--password-file /run/pw2`, `--auth-mode oauth2`, `--key /etc/tls/tls2.key`, `--cookie-secure true`, `redis-cli -p 6379 ping`,
		`kubectl get secret web2-db -o yaml`, `--tls-private-key-file=/etc/k2.key`, `curl -u root https://x`, `mkdir -p /data2/x`, `--service-account-signing-key-file=/etc/kubernetes/pki/sa.key`, `-password-stdin`,
		`kubectl create secret generic web2-db`, `psql -U app -p 5432 -d shop`, `tar -p x2y`,
	},
	"URLs": {
		`http://web.shop.svc:8080/users/jane@x2.test`, `ssh://git@github.com/acme/shop.git`, `git@github.com:acme/shop2.git`, `https://k8s.test/api/v1/namespaces/shop/secrets/web2-db`, `https://x.test/?key=shoes&page=2`,
		`postgres://app:xxxxx@db:5432/shop`, `postgres://$(USER):$(PASSWORD)@db`, `https://x.test/oauth2/token`, `https://x.test/hooks/deploy`, `http://10.0.0.1:9090/api/v1/query?query=up`, `?code=404`, `http://x.test/a/b?session=42`,
		`https://hooks.shop.svc:443/mutate?timeout=10s`, `redis://cache:6379/0`, `https://github.com/acme/shop/commit/9fceb02d0ae598e95dc970b74767f19372d61af8`,
	},
	"what clusters and programs say": {
		`level=info msg="password changed" user=bob2`, `token refresh scheduled in 30m0s`, `Access token: expired 5m ago`, `Secret shop/web2-tls updated`, `secret.v1.core "db2" is forbidden`,
		`reconciling Secret name=web2`, `secretKey: db_password`, `remoteRef: {key: shop/db2, property: password}`, `key="shop/web-7d4b9c6f5d-x2x8q"`, `Syncing key shop/web2`, `X-Api-Key header missing`,
		`etcd key /registry/pods/shop/web2`, `Keyspace: db0:keys=12,expires=3`, `kms key arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab`, `failed to load private key /etc/tls/tls2.key`,
		`ssl_certificate_key /etc/nginx/tls2.key;`, `zookeeper session 0x100002a3f4b0001 established`, `session_timeout: 1800`, `auth: oidc enabled`, `auth0 domain=x2.eu.auth0.com`, `oauth2: cannot fetch token: 401 Unauthorized`,
		`Authorization: required`, `authorization=Node,RBAC`, `WWW-Authenticate: Bearer realm="https://r2.test"`, `Bearer error="invalid_token"`, `This model's maximum context length is 8192 tokens`, `token_type=bearer`,
		`JSON parse error: Unrecognized token 'abc123'`, `unexpected token 'x42abc', expected ';'`, `serviceAccountToken: {path: token}`, `tokenRequests: [{audience: vault}]`, `xsrf-protection=on2`, `PASS: TestFoo2 (0.01s)`,
		`pass rate: 99.5%`, `pass 2/3: compacting`, `password_encryption = scram-sha-256`, `password: [hidden]`, `password: "[FILTERED]"`, `password: !vault`, `password=%(db_password)s`, `password: ENC[AES256_GCM]`,
		`passwordSecret: {name: db2, key: password}`, `PasswordAuthentication: no`, `password: ~`, `pod/password-reset-7d4b9c6f5d-x2x8q`, `image: registry.test/secret-manager:1.2.3`, `container "auth2" in pod "auth-7d4b9c6f5d-x2x8q"`,
		`auth_failures_total{job="api2"} 12`, `pin_memory=True`, `cpu pinning: 0-3`, `error code=E4221X`, `zip code: 90210`, `sidecar=istio2proxy`, `design=v2draft`, `basalt=r0ck42`, `pattern=a2b3c4d5`, `rsa_bits=4096`,
		`connection_id=4221x99a`, `credential=file2`, `cookie name=sid2`, `seed_nodes=cass-0.cass`, `revision hash 7d4b9c6f5d`, `Key: Environment, Value: prod2`, `account=shop42x`, `keynote=a1b2c3d4`, `whiskey: t4ng0fx`,
		`secretary=bob42x`, `sessionStorage=enabled2`, `cipher=TLS_AES_256_GCM_SHA384`, `exec: "mysqladmin": executable file not found in $PATH`, `mysqladmin ping -h db -u root`, `rsync -avzp a2 b2`,
		`no token: send Authorization: Bearer with one`, `the API server does not accept the token: run kubectl config view`, `Secret shop/db2 has no key api2Token`, `http://grafana/d/a1b2C3d4/web?from=now-1h&token=x2`,
		`curl -u $USER:$PASS https://x`, `curl -A "Mozilla/5.0" x`, `http GET http://web:8080/a2`, `exp=1714557600 iat=1714554000`, `connect to auth:8443 failed`,
	},
	"reports of another layer": {
		`failed to refresh token: Post "https://sso.test/token": context deadline exceeded`, `failed to get token: Get "http://x.test/a": dial tcp: i/o timeout`, `failed to get token: EOF`, `failed to get access token: i/o timeout`,
		`failed to read the password: stat /run/pw: no such file or directory`, `failed to read password: EACCES`, `unable to load the db password: ssm: ParameterNotFound`, `error retrieving password: SecretsManager: ResourceNotFoundException`,
		`failed to get token: net/http: TLS handshake timeout`, `failed to parse secret: yaml: line 2: mapping values are not allowed`, `failed to get secret: Internal Server Error`, `error retrieving token: googleapi: Error 403: Forbidden`,
		`token: java.net.SocketTimeoutException: Read timed out`, `password: FileNotFoundError: [Errno 2] No such file or directory`, `could not set password: ORA-28003: password verification failed`, `failed to get token: AADSTS70002: bad request`,
		`random_password.db: Refreshing state... [id=none]`, `data.random_password.db: Reading...`, `random_password.db: Still creating... [10s elapsed]`, `vault_token.x: Creation complete after 1s [id=none]`, `random_password.db.result is sensitive`,
	},
	"types and references": {
		`apiKey: Option[String] = None`, `apiKey: Option<String>,`, `token: Option<&str>`, `password: Optional[SecretStr] = None`, `token: List[str]`, `token: Union[str, None]`, `token: []byte`, `password *string`, `token: Option[List[String]]`,
		`password = var.db_password`, `password = local.db_password`, `password = module.db.password`, `password = random_password.db.result`, `password = data.vault_generic.db.value`, `password: secrets.DB_PASSWORD`, `password: .Values.db.password`,
		`kubectl create secret generic x --from-file=password=./pw.txt --from-file=token=./tok`, `["--from-file", "password=./pw.txt"]`, `helm upgrade x . --set-file auth.password=./pw.txt`, `keytool -storepass:file /run/ks.pass`, `keytool -storepass:env KSPASS`,
	},
	"changes and columns": {
		`  ~ image = "shop:1.2.3" -> "shop:1.2.4"`, `  ~ password_policy = "weak" -> "strong2"`, `  ~ secret_name = "db-1" -> "db-2"`, `  ~ token_ttl = "1h" -> "2h"`, `  ~ password = (sensitive value) -> null`, `  + password = (known after apply)`,
		`      DB_HOST                 = "pg2"`, `password policy changed from "weak" to "strong2"`, `routing_key=orders.created.v2`, `routingKey="shop_orders_created2"`, `smbclient //x -U 'svc' -N`, `lftp -u svc ftp://x`, `user shop/api@ora:8080/x`,
	},
	"quotes behind a name": {
		`required: ["username", "password", "Email"]`, `"user","password","FirstName"`, `password 'required' tag failed`, `column password "character varying"`, `no password "PlainText" type`, `password for "Bob.Smith" has expired`, `username and password "are required"`,
		`Field validation for 'Password' failed on the 'min' tag`, `env DB_PASSWORD "DB_PASS_OLD" is deprecated`, `password "orders-db" not found`,
	},
	"codes and digests": {
		`otp service exit code=137137`, `otp: error code=100234`, `otp failed: status=401 code=40103`, `mfa required: exit code: 137000`, `token_type=Bearer expires_in=3600 scope=openid`, `tokenType: Bearer, expires: 3600`, `Bearer scope=openid`,
		`fingerprint=SHA256:uNiVztksCsDhcc0u9e8BrrX2d1q1Yz0c7yQ5f8aZk1I`, `{"fingerprint":"SHA256:uNiVztksCsDhcc0u9e8BrrX2d1q1Yz0c7yQ5f8aZk1I"}`, `host key [SHA256:uNiVztksCsDhcc0u9e8BrrX2d1q1Yz0c7yQ5f8aZk1I]`, `passphrase=required for this key`, `passphrase=unset in the config`,
	},
	"look-alikes of what the corpus found": {
		`create the pod identified by name web-2`, `connect to the host identified by uid web-2x`, `grant access to user identified by token`, `requirepass is not set`, `masterauth is not configured`, `bindpw missing`,
		`db_password missing`, `db_password rotated`, `auth_pass required`, `password for user app_user1 expired`, `password for user "app_user1" has expired`, `password for account svc_x9y1 was changed`,
		`password of role app-2 must be changed`, `password for jo@x.test expired`, `password is base64-encoded`, `password is web-2`, `access token for pod web-7d4b9c6f5d-x2x8q expired`,
		`API key for service web-7d4b9c6f5d-x2x8q expired`, `client secret web2-oauth not found`, `using API key s3-backups-v2`, `spec.replicas: Invalid value: "abc9x": must be a number`,
		`spec.template.spec.containers[0].image: Invalid value: "web:1x"`, `spec.tls[0].secretName: Invalid value: "web2_tls": x`, `metadata.name: Duplicate value: "token-x2"`,
		`invalid value "8o80" for flag -port: parse error`, `invalid argument "5x" for "--token-ttl" flag: bad duration`, `invalid argument "x9.json" for "--key" flag: no such file`,
		`could not parse private key: asn1: syntax error`, `failed to load key: x509: unknown`, `token: oauth2: cannot fetch`, `secret key: crypto/x509: bad`, `x.test/auth-secret: basic-auth-2`, `cert-manager.io/client-secret: web-tls`,
		`sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC`, `SHA256:uNiVztksCsDhcc0u9e8BrqkIgbAV3oAvAm2W5qLx0Rk`, `pin-sha256="uNiVztksCsDhcc0u9e8BrqkIgbAV3oAvAm2W5qLx0Rk="`,
		`github.com/x/y v1.2.3/go.mod h1:OuVbFODueb089Lh128TAcimifWaLhJwVflnrgM17wHk=`, `sha256/uNiVztksCsDhcc0u9e8BrqkIgbAV3oAvAm2W5qLx0Rk= pinned`, `PASS TestFoo (0.01s)`, `PASS src/web2.test.js`,
		`user_id="42" user_name="bob9x"`, `user app on node web2`, `user jo on >10 nodes`, "pods 334\nnodes auth ready", "status 334 auth\nnode pods", "code 334\nauth restarted", `AUTH failed for user app`, `AUTH CRAM-MD5`, `apiVersion: client.authentication.k8s.io/v1beta1`, `no match for authentication.k8s.io/v1beta1`, `no credentials in client.authentication.k8s.io/v1alpha1, Kind=ExecCredential`, `unexpected secret: expected web2x9, got db2x9`, `Key: v1.TaintNodeNotReady, Effect: x`, `Key:      metav1.ObjectNameField,`, `delete(secret.Data, v1.ServiceAccountTokenKey)`, `finalizerToken v1.FinalizerName`, `a token v1alpha1.Refusal`, `KeyUsage: x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature`, `Erlang/OTP 26`, `OTP 2024 released`, `exit code 137`, `status code is 471133`, `connect("db", "x2y", "utf8")`, `mail:x2@/inbox`, `key 1: value2`, `[main] x:ab12cd`, `md5 9e107d9d372bb6826bd81d3542a419d6`, `md5:9e107d9d372bb6826bd81d3542a419d6`,
		`login('a', 'b', 'c')`, `api key 2 of 3`, `community edition 8x`, `pass: 12/12`, `sid=S-1-5-21`, `wrong password 3 times`, `API key quota exceeded: 1000 req/min`, `AUTH SCRAM-SHA-256 is not offered`,
		`password: !Ref DbPassword2`, `password: !secret db_pass2`, `auth=com.acme.Sha256Auth`, `auth: db01.corp.local`, `auth: DB01.CORP.LOCAL`, `session=web-7d4b9c6f5d-x2x8q`, `credentials: web2-db`,
		`credentials: gcp-k8s-sa`, `auth: oauth2-proxy`, `search phrase: web 2x`, `mysql -e "select 1; select 2" | wc -p3`, `password for pod web-2 is valid`, `2001:8080:ab:cd:ef12`,
	},
}

func TestEveryInnocentTextStays(t *testing.T) {
	for kind, texts := range innocent {
		t.Run(kind, func(t *testing.T) {
			for _, text := range texts {
				if got := redact.Text(text); got != text {
					t.Errorf("%s\n becomes %s", text, got)
				}
			}
		})
	}
}
