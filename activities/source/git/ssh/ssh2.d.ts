// The part of `ssh2` that we use. The types published for it bring an older @types/node along, which clashes with ours.
declare module 'ssh2' {
  import type { EventEmitter } from 'node:events';
  import type { Duplex, Readable } from 'node:stream';

  export interface ClientChannel extends Duplex {
    stderr: Readable;
    close(): void;
  }

  export interface ConnectConfig {
    /** An open connection. */
    sock: Duplex;
    username: string;
    /** Tried one after the other. */
    authHandler: { type: 'publickey'; username: string; key: ParsedKey }[];
    /** Decides by the key blob of the host whether the connection goes on. */
    hostVerifier(key: Buffer): boolean;
    algorithms?: { serverHostKey?: string[]; kex?: string[] };
    /** Milliseconds until the login must be done; 0 is without end. */
    readyTimeout?: number;
    keepaliveInterval?: number;
    keepaliveCountMax?: number;
  }

  export class Client extends EventEmitter {
    connect(config: ConnectConfig): this;
    exec(
      command: string,
      options: { env?: Record<string, string> },
      callback: (error: Error | undefined, channel: ClientChannel) => void,
    ): this;
    end(): this;
    destroy(): this;
  }

  export interface ParsedKey {
    type: string;
    getPublicSSH(): Buffer;
  }

  /** CommonJS: named exports are not found by Node, so all is taken from the default. */
  const ssh2: {
    Client: typeof Client;
    utils: { parseKey(data: string, passphrase?: string): ParsedKey | ParsedKey[] | Error };
  };
  export default ssh2;
}
