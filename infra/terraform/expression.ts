/** A value of a CloudFormation template: JSON with intrinsic functions. */
export type Value = unknown;

/** What Terraform calls the things that a template refers to. */
export interface Names {
  /** An expression for `Ref` of a resource or parameter. @throws Error where it has no counterpart */
  ref(logical: string): string;
  /** An expression for `Fn::GetAtt`. @throws Error where it has no counterpart */
  attribute(logical: string, attribute: string): string;
  /** Name of the stack as it is written in the template, such as `skytools-dev`. */
  stack: string;
}

const PSEUDO: Readonly<Record<string, string>> = {
  'AWS::Partition': 'data.aws_partition.current.partition',
  'AWS::Region': 'data.aws_region.current.region',
  'AWS::AccountId': 'data.aws_caller_identity.current.account_id',
  'AWS::StackName': 'local.stack',
  'AWS::NoValue': 'null',
};

/** The one key and its argument, where the value is an intrinsic function. */
export function intrinsic(value: Value): [string, Value] | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const entries = Object.entries(value);
  const [name, argument] = entries[0] ?? [];
  return entries.length === 1 && (name === 'Ref' || name?.startsWith('Fn::')) ? [name!, argument] : undefined;
}

/** From CloudFormation's values to those of Terraform's JSON syntax, where strings are templates. */
export class Expressions {
  readonly #names: Names;

  constructor(names: Names) {
    this.#names = names;
  }

  /** A value as Terraform's JSON has it: literals stay, references become `"${…}"`. */
  value(value: Value): unknown {
    if (typeof value === 'string') return this.#text(value);
    if (Array.isArray(value)) return value.map((each) => this.value(each));
    if (typeof value !== 'object' || value === null) return value;
    const call = intrinsic(value);
    if (call?.[0] === 'Fn::Sub' || call?.[0] === 'Fn::Join') return this.#parts(...call).join('');
    if (call) return `\${${this.expression(value)}}`;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, this.value(each)]));
  }

  /** A JSON document as one string, with references inside: policies, a dashboard. */
  document(value: Value): string {
    return JSON.stringify(this.value(value));
  }

  /** An expression of Terraform's language, without `${…}` around it. */
  expression(value: Value): string {
    const call = intrinsic(value);
    if (Array.isArray(value)) return `[${value.map((each) => this.expression(each)).join(', ')}]`;
    // A quoted string of the language is escaped as one of JSON.
    if (!call) return JSON.stringify(typeof value === 'string' ? this.#text(value) : value);
    const [name, argument] = call;
    switch (name) {
      case 'Ref':
        return PSEUDO[argument as string] ?? this.#names.ref(argument as string);
      case 'Fn::GetAtt': {
        const [logical, attribute] = argument as [string, string];
        return this.#names.attribute(logical, attribute);
      }
      case 'Fn::If': {
        const [condition, then, otherwise] = argument as [string, Value, Value];
        return `local.${condition} ? ${this.expression(then)} : ${this.expression(otherwise)}`;
      }
      case 'Fn::Not':
        return `!(${this.expression((argument as [Value])[0])})`;
      case 'Fn::Equals': {
        const [left, right] = argument as [Value, Value];
        return `${this.expression(left)} == ${this.expression(right)}`;
      }
      case 'Fn::Join': {
        const [separator, parts] = argument as [string, Value];
        if (intrinsic(parts)) return `join(${JSON.stringify(separator)}, ${this.expression(parts)})`;
        return JSON.stringify(this.#parts(name, argument).join(''));
      }
      case 'Fn::Sub':
        return JSON.stringify(this.#parts(name, argument).join(''));
      default:
        throw new Error(`terraform: no counterpart of ${name}`);
    }
  }

  /** The pieces of a string that `Fn::Sub` or `Fn::Join` puts together. */
  #parts(name: string, argument: Value): unknown[] {
    if (name === 'Fn::Join') {
      const [separator, parts] = argument as [string, Value[]];
      return [parts.map((part) => this.value(part)).join(this.#text(separator))];
    }
    if (typeof argument !== 'string') throw new Error('terraform: no counterpart of Fn::Sub with a map');
    return argument.split(/(\$\{[^}]+\})/).map((part) => {
      const reference = /^\$\{([^}]+)\}$/.exec(part)?.[1];
      if (reference === undefined) return this.#text(part);
      if (reference.startsWith('!')) return this.#text(`\${${reference.slice(1)}}`);
      const [logical, attribute] = reference.split('.');
      return this.value(attribute ? { 'Fn::GetAtt': [logical, attribute] } : { Ref: reference });
    });
  }

  /** Literal text, in which Terraform would see its own marks; the name of the stack is the module's own. */
  #text(text: string): string {
    const escaped = text.replace(/[$%](?=\{)/g, '$&$&');
    return escaped.replaceAll(this.#names.stack, () => `\${${PSEUDO['AWS::StackName']}}`);
  }
}
