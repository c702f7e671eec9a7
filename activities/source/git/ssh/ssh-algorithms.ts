// The algorithms of SSH that an installation may narrow or widen (contract 7: --ssh-kex-algos, --ssh-hostkey-algos).

/** Names as SSH has them, the preferred ones first. */
export interface SshAlgorithms {
  /** For the exchange of keys. @default all but those by SHA-1 */
  kex?: readonly string[];
  /** Of host keys. @default all but those by SHA-1 */
  hostKey?: readonly string[];
}

/** What there is; those by SHA-1 are used only by a server for which somebody has asked for them. */
export const kexAlgorithms = [
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
  'ecdh-sha2-nistp521',
  'diffie-hellman-group-exchange-sha256',
  'diffie-hellman-group14-sha256',
  'diffie-hellman-group15-sha512',
  'diffie-hellman-group16-sha512',
  'diffie-hellman-group17-sha512',
  'diffie-hellman-group18-sha512',
  'diffie-hellman-group-exchange-sha1',
  'diffie-hellman-group14-sha1',
] as const;

/** As OpenSSH: without signatures by SHA-1. */
export const safeHostKeyAlgorithms = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
] as const;

/** What there is. */
export const hostKeyAlgorithms = [...safeHostKeyAlgorithms, 'ssh-rsa'] as const;
