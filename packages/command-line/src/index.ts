/** What every program of this project needs of a command line. Logging, which loads more, is the subpath `./logging`. */
export { exitCodeOf, exitCodeOfError, exitCodes } from './exit-codes.ts';
export { checkedTokenFiles, httpOptions, listenError, portNumber, type TokenFlag } from './http-options.ts';
export { type LateLogger, lateLogger } from './late-logger.ts';
export { type LogLevel, logLevels } from './log-levels.ts';
export {
  commaList,
  duration,
  endpointUrl,
  file,
  oneOf,
  repeated,
  single,
  type TextParser,
  text,
  toggle,
  wholeNumber,
} from './option-parsers.ts';
export {
  describeOptions,
  environmentNameOf,
  flagText,
  type OptionDescription,
  type OptionSpec,
  type OptionTable,
  type OptionValues,
} from './option-spec.ts';
export { type CommandLine, type ProgramSpec, parseCommandLine } from './parse-command-line.ts';
export {
  checkNeeds,
  type Environment,
  type GivenFlags,
  type OptionOrigin,
  resolveOptions,
} from './resolve-options.ts';
export { type Shutdown, watchForShutdown } from './shutdown.ts';
export { createTerminal, OutputClosedError, type Style, type Terminal } from './terminal.ts';
export { UsageError } from './usage-error.ts';
