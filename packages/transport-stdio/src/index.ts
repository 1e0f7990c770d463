/** MCP over stdin and stdout for any server factory. */
export {
  type Logger,
  type ResourceChanges,
  type ServeStdioOptions,
  type StdioCloseReason,
  type StdioClosure,
  type StdioServing,
  serveStdio,
} from './serve-stdio.ts';
export { type GuardedOutput, guardOutput } from './stdout-guard.ts';
