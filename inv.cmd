@echo off
rem Runs tasks.py from the project's own .venv on Windows; makes it on first use (see ./inv).
setlocal
set "root=%~dp0"
set "venv=%root%.venv"
set "wanted=%root%requirements\inv.txt"
rem A .venv that Linux made in the same folder has no Scripts.
fc /b "%wanted%" "%venv%\.made-from.txt" >nul 2>&1 && if exist "%venv%\Scripts\python.exe" goto run
if not exist "%root%tasks.py" (
    echo inv: %root% is not a checkout of vllm-lifecycle. Call inv.cmd where you cloned it. 1>&2
    exit /b 3
)
rem The name of our .venv, which its tools write down before all else; anybody else's stays as it is.
set "mark=vllm-lifecycle"
if exist "%venv%\*" if not exist "%venv%\.made-from.txt" (
    findstr /r /c:"^prompt = '*%mark%'*$" "%venv%\pyvenv.cfg" >nul 2>&1 || (
        echo inv: %venv% was not made by inv, so it stays as it is. Move it away, then run the same again. 1>&2
        exit /b 3
    )
)
rem uv brings a Python of its own. Microsoft's Store installs one without py, and a python that is
rem only a link to the Store ends with 9009.
set "python="
set "check=import sys; sys.exit(sys.version_info < (3, 11))"
uv --version >nul 2>&1
if not errorlevel 1 set "python=uv"
if defined python goto make
py -3 -c "%check%" >nul 2>&1
if not errorlevel 1 set "python=py -3"
if defined python goto make
python -c "%check%" >nul 2>&1
if not errorlevel 1 set "python=python"
if not defined python (
    echo inv: Python 3.11 or newer is needed. Install it: winget install Python.Python.3.12 1>&2
    exit /b 3
)
:make
echo inv: making .venv ^(once; takes a minute or two^) 1>&2
if "%python%"=="uv" (
    uv venv --quiet --clear --prompt "%mark%" --python ">=3.11" "%venv%" || goto failed
    uv pip install --quiet --python "%venv%" --require-hashes -r "%wanted%" || goto failed
    goto made
)
%python% -m venv --clear --prompt "%mark%" "%venv%" || goto failed
"%venv%\Scripts\python" -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r "%wanted%" || goto failed
:made
copy /y "%wanted%" "%venv%\.made-from.txt" >nul
:run
"%venv%\Scripts\python" -X utf8 "%root%tasks.py" %*
exit /b %errorlevel%
:failed
echo inv: could not make .venv. Check the network and the free disk, then run the same again. 1>&2
exit /b 3
