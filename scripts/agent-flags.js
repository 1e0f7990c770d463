/** Node's flags for the agent in the image, as deployment/container/launcher/launcher.c gives them and says why. */
export const agentFlags = ['--max-semi-space-size=1', '--optimize-for-size', '--no-concurrent-recompilation'];
