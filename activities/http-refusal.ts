/** A server refused a request: its HTTP status, its own word for why (e.g. `NoSuchBucket`), and what it says. */
export class HttpRefusal extends Error {
  override readonly name = 'HttpRefusal';
  readonly status: number;
  readonly code: string | undefined;

  constructor(status: number, code: string | undefined, message: string | undefined) {
    super(message ? message.slice(0, 300) : `the server answered with HTTP ${status}`);
    this.status = status;
    this.code = code;
  }
}
