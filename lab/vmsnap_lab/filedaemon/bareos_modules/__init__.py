# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Stand-ins for the Python modules a bareos-fd gives its plugins.

The job process puts this folder on sys.path; inside a real bareos-fd the real modules serve.
"""
