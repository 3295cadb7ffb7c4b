import type { Expressions, Value } from './expression.ts';

/** The properties of one resource, each of which has to be taken: none may be left out of a translation unnoticed. */
export class Properties {
  readonly #owner: string;
  readonly #left: Record<string, Value>;
  readonly #say: Expressions;

  constructor(owner: string, properties: Record<string, Value>, say: Expressions) {
    this.#owner = owner;
    this.#left = { ...properties };
    this.#say = say;
  }

  /** A property as the template has it. */
  take(name: string): Value {
    const value = this.#left[name];
    delete this.#left[name];
    return value;
  }

  /** A property as Terraform says it, or as `how` does; undefined where the template has none. */
  say<Shape>(name: string, how?: (value: Shape) => unknown): unknown {
    const value = this.take(name);
    if (value === undefined) return undefined;
    return how ? how(value as Shape) : this.#say.value(value);
  }

  /** What a property becomes; nothing where the template has none. */
  part<Shape, Part extends object>(name: string, how: (value: Shape) => Part): Part | undefined {
    return this.say(name, how) as Part | undefined;
  }

  /** @throws Error with what nobody has taken */
  requireAllTaken(): void {
    const left = Object.keys(this.#left);
    if (left.length > 0) throw new Error(`terraform: ${this.#owner}: no counterpart of ${left.join(', ')}`);
  }
}
