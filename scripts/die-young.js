// Some of what the SDK and zod make for every message outlives it in V8 until the next collection of the whole heap, and keeps the message:
//
// - a function written right of `object.name =` goes among the old objects at once (V8 expects few of those, for long). The SDK ties a server
//   object to its transport with three of them, for each HTTP request;
// - so does the pair of accessors of `{ get name() {} }`. zod's failed result has one, and the SDK tells the kinds of messages apart by
//   parsing them until one fits.
//
// Written otherwise, the same lives for as long as it is used: scripts/die-young.test.ts shows both.

/** A statement `this.name = () => ...;`, on a line of its own or until the end of its block. */
const assignedFunction =
  /^(\t+)(this(?:\.\w+)*)\.(\w+) = ((?:async )?\([^()]*\) => (?:\{\n[\s\S]*?\n\1\}|[^{\n].*));$/gm;

/** Its name is given as in a literal, which V8 has no expectations of. */
export function withoutAssignedFunctions(source) {
  return source.replace(assignedFunction, '$1Object.assign($2, { $3: $4 });');
}

const madeFailure = /^function failure\(Err, issues, ctx\) \{\n[\s\S]*?\n\}$/m;

/** The error is made when it is read, as in zod, by a pair of accessors that all results share. */
const failureOfSharedAccessors = `
class Failure {
  static error = {
    enumerable: true,
    configurable: true,
    get() {
      if (this.#parsed !== undefined) {
        const { Err, issues, ctx } = this.#parsed;
        this.error = new Err(issues.map((issue) => util.finalizeIssue(issue, ctx, core.config())));
      }
      return this.#error;
    },
    set(error) {
      this.#error = error;
      this.#parsed = undefined;
    },
  };
  success = false;
  #parsed;
  #error;
  constructor(parsed) {
    this.#parsed = parsed;
    Object.defineProperty(this, 'error', Failure.error);
  }
}
const failure = (Err, issues, ctx) => new Failure({ Err, issues, ctx });`;

export function withSharedAccessors(source) {
  return source.replace(madeFailure, () => failureOfSharedAccessors);
}

/** A file whose text is written otherwise. One where nothing is found is another version's: whoever takes that must look again. */
const rewritten = (name, id, rewrite) => ({
  name,
  transform: {
    filter: { id },
    handler(source, path) {
      const code = rewrite(source);
      if (code === source) this.error(`${path} has nothing to rewrite (${name}): see scripts/die-young.js`);
      return code;
    },
  },
});

/** Plugins of rolldown. */
export const dieYoung = [
  rewritten(
    'sdk-functions-die-young',
    /[\\/]@modelcontextprotocol[\\/](?:server|client)[\\/]dist[\\/](?:src|mcp)-[^\\/]+\.mjs$/,
    withoutAssignedFunctions,
  ),
  rewritten('zod-failures-die-young', /[\\/]zod[\\/]v4[\\/]core[\\/]parse\.js$/, withSharedAccessors),
];
