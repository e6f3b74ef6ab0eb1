@echo off
rem Runs tasks.py from the project's own .venv on Windows; makes it on first use (see ./inv).
setlocal
set "root=%~dp0"
set "venv=%root%.venv"
set "wanted=%root%requirements\inv.txt"
rem A .venv that Linux made in the same folder has no Scripts.
fc /b "%wanted%" "%venv%\.made-from.txt" >nul 2>&1 && if exist "%venv%\Scripts\python.exe" goto run
py -3 -c "import sys; sys.exit(sys.version_info < (3, 11))" >nul 2>&1 || (
    echo inv: Python 3.11 or newer is needed. Install it: winget install Python.Python.3.12 1>&2
    exit /b 3
)
echo inv: making .venv ^(once; takes under a minute^) 1>&2
where uv >nul 2>&1 && (
    uv venv --quiet --clear --python 3 "%venv%" || goto failed
    uv pip install --quiet --python "%venv%" --require-hashes -r "%wanted%" || goto failed
    goto made
)
py -3 -m venv --clear "%venv%" || goto failed
"%venv%\Scripts\python" -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r "%wanted%" || goto failed
:made
copy /y "%wanted%" "%venv%\.made-from.txt" >nul
:run
"%venv%\Scripts\python" "%root%tasks.py" %*
exit /b %errorlevel%
:failed
echo inv: could not make .venv. Check the network and the free disk, then run the same again. 1>&2
exit /b 3
