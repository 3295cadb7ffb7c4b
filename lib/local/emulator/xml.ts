/** An element to be written: its name and its text or children; `undefined` children are left out. */
export type Element = readonly [
  name: string,
  content: string | number | boolean | readonly (Element | undefined)[],
];

/** An element that was read. Namespaces and attributes carry nothing that S3's requests mean. */
export interface Parsed {
  readonly name: string;
  readonly text: string;
  readonly children: readonly Parsed[];
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** Renders a document with its declaration and S3's namespace. */
export function renderXml(root: Element, namespace = true): string {
  const [name, content] = root;
  const inner = renderContent(content);
  const attribute = namespace ? ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"' : '';
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${name}${attribute}>${inner}</${name}>`;
}

function renderContent(content: Element[1]): string {
  if (typeof content !== 'object') return escapeText(String(content));
  return content
    .map((child) => (child ? `<${child[0]}>${renderContent(child[1])}</${child[0]}>` : ''))
    .join('');
}

/** The same references that AWS writes, for readers that are no XML parsers. */
const REFERENCES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\r': '&#13;',
  '\n': '&#10;',
};

function escapeText(text: string): string {
  return text.replace(/[&<>"\r\n]/g, (mark) => REFERENCES[mark] as string);
}

/** Reads a small XML document; returns undefined where it is not well-formed. */
export function parseXml(text: string): Parsed | undefined {
  const root = { name: '', text: '', children: [] as Parsed[] };
  const open = [root];
  const tokens = /<\?[^>]*\?>|<!--[\s\S]*?-->|<(\/?)([\w:.-]+)[^>]*?(\/?)>|([^<]+)/g;
  for (const [, closing, name, empty, characters] of text.matchAll(tokens)) {
    const current = open.at(-1);
    if (!current) return undefined;
    if (characters !== undefined) current.text += decodeEntities(characters);
    else if (closing) {
      if (open.pop()?.name !== name) return undefined;
    } else if (name !== undefined) {
      const element = { name, text: '', children: [] as Parsed[] };
      current.children.push(element);
      if (!empty) open.push(element);
    }
  }
  return open.length === 1 ? root.children[0] : undefined;
}

function decodeEntities(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (hex) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal) return String.fromCodePoint(Number(decimal));
    return ENTITIES[name] ?? whole;
  });
}

/** All children of this name. */
export function childrenOf(element: Parsed, name: string): readonly Parsed[] {
  return element.children.filter((child) => child.name === name);
}

/** The text of the first child of this name. */
export function textOf(element: Parsed, name: string): string | undefined {
  return childrenOf(element, name)[0]?.text;
}
