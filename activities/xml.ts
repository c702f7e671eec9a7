// Reads the XML that object storages answer with: elements and text, nothing else. Attributes and namespaces are passed
// over, a document type is refused, so nothing is ever expanded or fetched.

/** One element: its children in their order, and the text that stands directly in it. */
export interface XmlElement {
  name: string;
  children: XmlElement[];
  text: string;
}

const maxDepth = 32;
/** A page of a listing has at most 5,000 objects of some forty elements. Empty ones take far more memory than text. */
const maxElements = 400_000;
const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const token =
  /<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<!\[CDATA\[([\s\S]*?)\]\]>|<(\/?)([^\s<>/!?]+)((?:\s+[^\s<>=/]+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*(\/?)>|([^<]+)/y;

/** The root element of a document. Throws an `Error` that says where the text is no such XML. */
export function parseXml(text: string): XmlElement {
  const top: XmlElement = { name: '', children: [], text: '' };
  const open: XmlElement[] = [top];
  let elementCount = 0;
  token.lastIndex = text.startsWith('\uFEFF') ? 1 : 0;
  while (token.lastIndex < text.length) {
    const at = token.lastIndex;
    const match = token.exec(text);
    if (!match) throw new Error(`unexpected text at character ${at} of the XML`);
    const [, cdata, slash, name, , selfClosing, plain] = match;
    const current = open.at(-1) ?? top;
    if (cdata !== undefined) current.text += cdata;
    else if (plain !== undefined) current.text += decodeEntities(plain);
    else if (name === undefined)
      continue; // a comment or an instruction
    else if (slash) {
      if (open.length < 2 || current.name !== localName(name)) {
        throw new Error(`unexpected "</${name.slice(0, 40)}>" at character ${at} of the XML`);
      }
      open.pop();
    } else {
      if (++elementCount > maxElements) throw new Error(`more than ${maxElements} elements of XML`);
      const element: XmlElement = { name: localName(name), children: [], text: '' };
      current.children.push(element);
      if (!selfClosing) open.push(element);
      if (open.length > maxDepth) throw new Error(`more than ${maxDepth} levels of XML`);
    }
  }
  const [root] = top.children;
  if (!root || open.length > 1 || top.children.length > 1) throw new Error('the XML is not complete');
  return root;
}

/** The first child of a name. */
export function childOf(element: XmlElement | undefined, name: string): XmlElement | undefined {
  return element?.children.find((child) => child.name === name);
}

/** All children of a name. */
export function childrenOf(element: XmlElement | undefined, name: string): XmlElement[] {
  return (element?.children ?? []).filter((child) => child.name === name);
}

/** The text of the first child of a name; undefined when there is no such child. */
export function textOf(element: XmlElement | undefined, name: string): string | undefined {
  return childOf(element, name)?.text;
}

function localName(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}

function decodeEntities(text: string): string {
  return text.replaceAll(/&(?:#x([0-9a-fA-F]{1,6})|#([0-9]{1,7})|([a-z]+));/g, (whole, hex, decimal, name) => {
    if (name !== undefined) return entities[name as string] ?? whole;
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex as string, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
