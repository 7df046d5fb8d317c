/**
 * Certificates and keys of a site connection for tests of rules, which nobody proves anything by: made once with openssl (P-256, and an
 * Ed25519 key that belongs to none of them), valid for 100 years.
 */

/** Of CN=Contoso site authority. */
export const authorityCertificate = `-----BEGIN CERTIFICATE-----
MIIBdzCCAR6gAwIBAgIUJaxt40Le96MhC5r8yBa9xUyHUngwCgYIKoZIzj0EAwIw
ITEfMB0GA1UEAwwWQ29udG9zbyBzaXRlIGF1dGhvcml0eTAgFw0yNjExMjEyMjUz
MjBaGA8yMTI2MTAyODIyNTMyMFowITEfMB0GA1UEAwwWQ29udG9zbyBzaXRlIGF1
dGhvcml0eTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBTibvufsBmZ1EbSwOfy
bUS9dJ28J5hD0msK1Ypm+ZquEF1u64oSvui0i4NAGA/7SU9vOzP1V0EuxwYxuk5f
5t2jMjAwMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0OBBYEFHLwJKt0LdYhW/7SQesy
t6h68e62MAoGCCqGSM49BAMCA0cAMEQCIFaetkmMVv5x19TsdDqllGfn5Y6lnheA
oGGQuIa09HlyAiAJ9LG9ntcUnJ82s9AvdJ8qFhF5FjqpLuGKyR+8G5qrrg==
-----END CERTIFICATE-----
`;

/** Of CN=gateway.contoso.example, issued by it. */
export const siteCertificate = `-----BEGIN CERTIFICATE-----
MIIBLDCB0wIBATAKBggqhkjOPQQDAjAhMR8wHQYDVQQDDBZDb250b3NvIHNpdGUg
YXV0aG9yaXR5MCAXDTI2MTEyMTIyNTMyMFoYDzIxMjYxMDI4MjI1MzIwWjAiMSAw
HgYDVQQDDBdnYXRld2F5LmNvbnRvc28uZXhhbXBsZTBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABMKBMiBvArslkbezR8/i57WJ8fthcRN+usBYEPhQhiYBE7ncOEAt
2NxkjD1WXHQa3ZRSbdgsq8OafcWvM67YfrswCgYIKoZIzj0EAwIDSAAwRQIgNE4i
BdXMBjYcorc/bH/UhUYEb+YtjLXwAiLFPrbK2QoCIQCs5tnF9v70uL/V77eEs/+a
q6pTUFOySQAkRo/rYlf9LA==
-----END CERTIFICATE-----
`;

/** The key of `siteCertificate` (PKCS #8). */
export const sitePrivateKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+WsEeXgRIbK5OM7W
Wh5kyg3YI2z9qJ3lDHs8k5/uQUOhRANCAATCgTIgbwK7JZG3s0fP4ue1ifH7YXET
frrAWBD4UIYmARO53DhALdjcZIw9Vlx0Gt2UUm3YLKvDmn3FrzOu2H67
-----END PRIVATE KEY-----
`;

/** A key of no certificate. */
export const otherPrivateKey = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIP38CCYmSHzFQlZopRIVoO40uDJ7n/7j7cz8z+M0AM7g
-----END PRIVATE KEY-----
`;

/** What the authority has revoked: nothing. */
export const revocationList = `-----BEGIN X509 CRL-----
MIG6MGICAQEwCgYIKoZIzj0EAwIwITEfMB0GA1UEAwwWQ29udG9zbyBzaXRlIGF1
dGhvcml0eRcNMjYxMTIxMjI1MzIwWhgPMjEyNjEwMjgyMjUzMjBaoA4wDDAKBgNV
HRQEAwIBATAKBggqhkjOPQQDAgNIADBFAiAwzHVYnOPSj9OPOmcIXjagkOYh8CRt
OoM2YRKjxxUEIwIhAOeT8smn6GcHA7ECEm779N1NYq2QsCELRCHuiBB9Ll2L
-----END X509 CRL-----
`;
