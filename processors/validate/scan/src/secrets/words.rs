//! Words that tell values from what only stands in their place.

/// Words that say that there is no value, or of what type it is.
#[rustfmt::skip]
pub(super) const NONE: &[&str] = &[
    "none", "null", "nil", "undefined", "true", "false", "yes", "no", "on", "off", "enabled", "disabled",
    "required", "optional", "string", "str", "text", "bytes", "bool", "boolean", "int", "integer", "number",
    "float", "object", "any", "void", "char", "varchar", "default", "empty", "unset", "n/a", "na", "tbd", "todo",
    "fixme", "redacted", "masked", "hidden", "removed", "secure", "encrypted", "self", "this", "value", "input",
    "prompt", "plain", "plaintext", "md5", "sha1", "sha256", "sha512", "bcrypt", "scram-sha-256", "basic", "bearer",
    "digest", "oauth2", "field", "function", "new", "await", "async", "return", "const", "let", "var", "not", "and",
    "or", "in", "is", "if", "else", "the", "a", "an", "for", "to", "of", "optional[str]", "secretstr",
    "securestring", "char*", "byte[]", "string[]", "unknown", "uuid", "env", "file", "stdin", "ask", "never",
    "always", "auto", "manual", "local", "global", "variable", "type", "jwt",
];

/// Words that stand for a password in examples and first configurations.
#[rustfmt::skip]
pub(super) const WEAK: &[&str] = &[
    "changeme", "changeit", "changethis", "changethispassword", "password", "passwd", "passwort", "passphrase",
    "pass", "pwd", "pw", "secret", "secrets", "mysecret", "mypassword", "mypass", "mypwd", "example",
    "examplepassword", "sample", "dummy", "dummypassword", "fake", "fakepassword", "foo", "bar", "baz", "foobar",
    "test", "testing", "testpassword", "testpass", "testsecret", "token", "key", "apikey", "placeholder",
    "supersecret", "topsecret", "verysecret", "secretpassword", "secretkey", "somepassword", "password1",
    "password123", "notsecret", "notasecret", "notarealpassword", "invalid", "wrong", "wrongpassword", "admin",
    "root", "user", "username", "guest", "default", "credentials", "thepassword", "abc", "xyz", "123", "1234",
    "12345", "abc123", "asdf", "qwerty", "blah", "hello", "notused", "unused", "ignored", "somesecret",
    "yoursecret", "insecure", "unsecure", "public", "private", "demo", "temp",
];

/// Parts of longer placeholders.
#[rustfmt::skip]
pub(super) const PARTS: &[&str] = &[
    "your_", "your-", "yourpass", "yourtoken", "yourkey", "yoursecret", "yourapi", "your ", "_here", "-here",
    "changeme", "change_me", "change-me", "change_this", "replaceme", "replace_me", "replace-me", "replace_with",
    "placeholder", "insert_", "insert-", "enter_", "enter-your", "put_your", "xxxx", "****", "....", "<redacted",
    "[redacted", "example", "my_password", "my-password", "my_secret", "my-secret", "my_token",
    "my-token", "my_api", "my-api", "dummy", "fake_", "fake-", "not_a_real", "notreal", "_goes_", "-goes-",
    "1234567890", "0123456789abcdef", "abcdefghij", "deadbeef",
];

/// Beginnings of references to a value that stands elsewhere, or of an encrypted value.
#[rustfmt::skip]
pub(super) const ELSEWHERE: &[&str] = &[
    "$(", "${", "#{", "@{", "{{", "{%", "<%", "%{", "[[", "<<", "enc[", "enc(", "{cipher}", "{{", "vault:", "op://",
    "secret://", "secretref:", "keyring:", "ssm:", "arn:", "aws-sm:", "gcp-sm:", "awskms:", "env:", "env.", "env(",
    "env[", "file:", "file(", "process.env", "os.environ", "os.getenv", "getenv", "system.getenv", "var.", "local.",
    "module.", "data.", "secrets.", "self.", "this.", "config.", "settings.", "options.", "params.", "args.",
    "request.", "req.", "ctx.", "!vault", "!ref", "!sub", "!secret", "!getatt", "!env", "!!", "*", "&", "->", "=>",
    "==", "|", ">", "__", "@microsoft.keyvault", "lookup(", "fn::", "ref+", "sops:", "age1", "/run/secrets",
    "/etc/", "/var/", "/home/", "/usr/", "/opt/", "~/", "./", "../", "http://", "https://", "c:\\", "$argon",
];

/// Words of messages about passwords.
#[rustfmt::skip]
pub(super) const MESSAGE: &[&str] = &[
    "must", "your", "mot", "passe", "kennwort", "wrong", "was", "are", "has", "been", "can", "cannot", "may", "will", "used", "use", "by", "from", "if", "on", "it", "user", "username", "this", "that", "enter", "is", "the", "at", "least", "characters", "please", "password", "passwords", "invalid",
    "incorrect", "forgot", "reset", "change", "new", "confirm", "a", "an", "for", "of", "to", "and", "or", "not",
    "with", "in", "should", "token", "key", "secret", "api", "error", "required", "old", "current", "le", "de",
    "das", "den", "que", "la", "el", "show", "hide", "no",
];
