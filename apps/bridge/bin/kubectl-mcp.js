#!/usr/bin/env node
import '../dist/kubectl/main.js';
