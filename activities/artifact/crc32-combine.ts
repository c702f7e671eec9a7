// The CRC-32 of two pieces put together, from the checksums of the pieces alone: what was compressed before need not be
// read again. A checksum is a polynomial over GF(2), and appending n zero bytes multiplies it by x^(8n).

/** CRC-32's polynomial, bits reversed. */
const polynomial = 0xedb88320;
/** x^0 in reversed bits. */
const one = 0x80000000;

/** `x^(2^k)` for k = 0 … 63, modulo the polynomial. */
const powers: readonly number[] = (() => {
  const list = [one >>> 1];
  for (let k = 1; k < 64; k++) list.push(multiply(list[k - 1] ?? 0, list[k - 1] ?? 0));
  return list;
})();

/** The CRC-32 of `a` followed by `b`, where `b` has `sizeBytes` bytes. */
export function combineCrc32(a: number, b: number, sizeBytes: number): number {
  let shift = one;
  // Bytes are eight bits each, hence the start at x^(2^3); sizes beyond 2^32 are exact up to 2^53.
  for (let left = sizeBytes, k = 3; left > 0; left = Math.floor(left / 2), k++) {
    if (left % 2 === 1) shift = multiply(powers[k] ?? 0, shift);
  }
  return (multiply(shift, a) ^ b) >>> 0;
}

/** The product of two polynomials modulo CRC-32's. */
function multiply(a: number, b: number): number {
  let product = 0;
  let factor = b;
  for (let bit = one; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= factor;
    factor = (factor & 1) !== 0 ? (factor >>> 1) ^ polynomial : factor >>> 1;
  }
  return product >>> 0;
}
